package catalog

import (
	"errors"
	"time"
)

// ErrNotFound says that a cluster, database, table, policy or grant of that
// name is not there.
var ErrNotFound = errors.New("not found in catalog")

// ErrExists says that the name is already taken.
var ErrExists = errors.New("already in catalog")

// ErrTypeChange says that a column's type cannot change.
var ErrTypeChange = errors.New("the type of a column cannot change")

// Database is one database of a cluster.
type Database struct {
	ID   string // GUID in lower case, never reused; made by the catalog when empty
	Name string // as the user spelled it; unique in the cluster without regard to case
	// SoftDelete and HotCache are ISO 8601 durations as ARM gave them, "" when never set.
	SoftDelete string
	HotCache   string
	Created    time.Time
}

// Table is one table of a database.
type Table struct {
	ID         string // GUID in lower case, never reused; made by the catalog when empty
	DatabaseID string
	Name       string // case-sensitive, as in KQL
	Columns    []Column
	Folder     string
	DocString  string
	Created    time.Time
	// NextColumnID is the id the next added column gets; ids are never reused,
	// so that an old extent can never show a dropped column's values.
	NextColumnID int
}

// Column is one column of a table.
type Column struct {
	ID        int // positive, unique in the table; made by the catalog when 0
	Name      string
	Type      Type
	DocString string
}

// PolicyKind names a policy as the control commands do.
type PolicyKind string

// The policies that are kept. Bodies are kept as the JSON the user gave.
const (
	PolicyStreamingIngestion PolicyKind = "streamingingestion"
	PolicyRetention          PolicyKind = "retention"
	PolicyCaching            PolicyKind = "caching"
	PolicyIngestionBatching  PolicyKind = "ingestionbatching"
)

// Scope says what a grant reaches.
type Scope string

// The two scopes of data-plane grants.
const (
	ScopeCluster  Scope = "cluster"
	ScopeDatabase Scope = "database"
)

// Grant gives one principal one role on a cluster or on one database. It is
// what a principalAssignment becomes on the data plane.
type Grant struct {
	ID       string // unique in the cluster: the ARM id of the assignment in lower case, or any other stable id
	Scope    Scope
	Database string // database name for ScopeDatabase, "" otherwise
	Role     string // AllDatabasesAdmin, AllDatabasesViewer, Admin, User, Viewer, Ingestor, Monitor, UnrestrictedViewer
	// A principal matches when its tenant is TenantID and its object id or
	// application id is the one given; PrincipalID is what the user typed.
	PrincipalID   string
	PrincipalType string // App, User, Group
	ObjectID      string
	AppID         string
	TenantID      string
	Name          string // display name, may be empty
}

// TableStats is the size of a table as `.show table details` reports it.
type TableStats struct {
	Extents      int
	Rows         int64 // sealed rows plus rows still in the buffer
	BufferedRows int64
	StoredBytes  int64 // bytes of the encrypted extent files
	OriginalSize int64 // bytes of the Parquet inside them
	MinIngested  time.Time
	MaxIngested  time.Time
}
