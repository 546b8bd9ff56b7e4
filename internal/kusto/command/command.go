package command

// Command is a parsed control command: one of the types of this file.
type Command interface{ isCommand() }

// Column is a column of .create table.
type Column struct{ Name, Type string }

type (
	// CreateTable is .create table, or .create-merge table with Merge.
	CreateTable struct {
		Name              string
		Columns           []Column
		Folder, DocString string
		Merge             bool
	}
	// DropTable is .drop table T [ifexists].
	DropTable struct {
		Name     string
		IfExists bool
	}
	// Show is any .show of a fixed kind without an entity, see the constants.
	// Databases narrows the ones that list databases, nil for all.
	Show struct {
		What      What
		Databases []string
	}
	// ShowTable is .show table T …; Form is "", "details", "cslschema" or "schema as json".
	ShowTable struct{ Name, Form string }
	// ShowDatabase is .show database [D] and a Form: "" or one of "details",
	// "identity", "schema", "schema as json", "schema as csl script", "principals".
	ShowDatabase struct{ Name, Form string }
	// ShowPolicy is .show table|database N policy KIND.
	ShowPolicy struct{ Entity Entity }
	// AlterPolicy is .alter table|database N policy KIND BODY; Body is JSON text.
	AlterPolicy struct {
		Entity Entity
		Body   string
	}
	// DeletePolicy is .delete table|database N policy KIND.
	DeletePolicy struct{ Entity Entity }
	// IngestInline is .ingest inline into table T [with (…)] <| DATA.
	IngestInline struct {
		Table      string
		Properties map[string]string // names in lower case
		Data       string
	}
	// IngestQuery is .set, .append or .set-or-append T <| QUERY.
	IngestQuery struct {
		Table             string
		Create, Append    bool // may make the table; may add to an existing one
		Folder, DocString string
		Query             string
	}
)

// Entity is what a policy is on.
type Entity struct {
	Database bool // else a table
	Name     string
	Policy   string // in lower case
}

// What names the .show commands without an entity.
type What string

// The .show commands without an entity.
const (
	Version           What = "version"
	Databases         What = "databases"
	DatabasesDetails  What = "databases details"
	DatabasesIdentity What = "databases identity"
	DatabasesSchema   What = "databases schema"
	SchemaAsJSON      What = "schema as json"
	Tables            What = "tables"
	TablesDetails     What = "tables details"
	Functions         What = "functions"
	MaterializedViews What = "materialized-views"
	ExternalTables    What = "external tables"
	Entities          What = "databases entities"
	EntityGroups      What = "entity_groups"
	Cluster           What = "cluster"
	ClusterPrincipals What = "cluster principals"
	PrincipalRoles    What = "principal roles"
)

func (CreateTable) isCommand()  {}
func (DropTable) isCommand()    {}
func (Show) isCommand()         {}
func (ShowTable) isCommand()    {}
func (ShowDatabase) isCommand() {}
func (ShowPolicy) isCommand()   {}
func (AlterPolicy) isCommand()  {}
func (DeletePolicy) isCommand() {}
func (IngestInline) isCommand() {}
func (IngestQuery) isCommand()  {}
