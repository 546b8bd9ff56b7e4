package kusto

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/kql/types"
	"github.com/kustos-io/kustos/internal/kusto/command"
	"github.com/kustos-io/kustos/internal/wire"
)

// cols are columns of one type.
func cols(t types.Type, names ...string) []column {
	out := make([]column, len(names))
	for i, n := range names {
		out[i] = column{n, t}
	}
	return out
}

func join(parts ...[]column) []column {
	var out []column
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// visible are the databases whose metadata the caller may see. names, unless
// nil, narrows them; a name that is not visible does not exist for the caller.
func (h *Handler) visible(ctx context.Context, c *call, names []string) ([]catalog.Database, error) {
	all, err := h.runtime.Databases(ctx, c.cluster.ID)
	if err != nil {
		return nil, err
	}
	var out []catalog.Database
	for _, db := range all {
		if c.access.may(needShow, db.Name) && (names == nil || slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, db.Name) })) {
			out = append(out, db)
		}
	}
	for _, n := range names {
		if !slices.ContainsFunc(out, func(db catalog.Database) bool { return strings.EqualFold(n, db.Name) }) {
			return nil, databaseNotFound(n)
		}
	}
	return out, nil
}

func (h *Handler) show(ctx context.Context, c *call, req request, cmd command.Show) (tableResult, error) {
	if err := h.mustRun(ctx, c); err != nil {
		return tableResult{}, err
	}
	switch cmd.What {
	case command.Version:
		return h.showVersion(c), nil
	case command.Cluster:
		return h.showCluster(ctx, c)
	case command.ClusterPrincipals:
		if err := c.access.require(needShow, ""); err != nil {
			return tableResult{}, err
		}
		return h.showPrincipals(ctx, c, "")
	case command.PrincipalRoles:
		return h.principalRoles(c), nil
	case command.Databases, command.DatabasesDetails, command.DatabasesIdentity, command.DatabasesSchema, command.SchemaAsJSON, command.Entities:
		dbs, err := h.visible(ctx, c, cmd.Databases)
		if err != nil {
			return tableResult{}, err
		}
		switch cmd.What {
		case command.SchemaAsJSON:
			return h.schemaJSON(ctx, c, dbs)
		case command.DatabasesSchema:
			return h.schemaRows(ctx, c, dbs)
		case command.Entities:
			return h.entities(ctx, c, dbs)
		}
		return h.databaseRows(ctx, c, req, cmd.What, dbs)
	}
	database, err := h.database(ctx, c, req.Database)
	if err != nil {
		return tableResult{}, err
	}
	if err := c.access.require(needShow, database); err != nil {
		return tableResult{}, err
	}
	switch cmd.What {
	case command.Tables, command.TablesDetails:
		return h.showTables(ctx, c, database, cmd.What == command.TablesDetails)
	// What is not built cannot have been made, so a database has none of it; editors
	// ask for all of these when they open a database.
	case command.Functions:
		return tableResult{columns: cols(types.String, "Name", "Parameters", "Body", "Folder", "DocString")}, nil
	case command.MaterializedViews:
		return tableResult{columns: join(cols(types.String, "Name", "SourceTable", "Query"), cols(types.DateTime, "MaterializedTo", "LastRun"), cols(types.String, "LastRunResult"),
			cols(types.Bool, "IsHealthy", "IsEnabled"), cols(types.String, "Folder", "DocString"), cols(types.Bool, "AutoUpdateSchema"), cols(types.DateTime, "EffectiveDateTime"),
			cols(types.TimeSpan, "Lookback"), cols(types.String, "LookbackColumn"))}, nil
	case command.ExternalTables:
		return tableResult{columns: join(cols(types.String, "TableName", "TableType", "Folder", "DocString", "Properties"), cols(types.Dynamic, "ConnectionStrings", "Partitions"), cols(types.String, "PathFormat"))}, nil
	case command.EntityGroups:
		return tableResult{columns: cols(types.String, "Name", "Entities")}, nil
	}
	panic("BUG: no executor for .show " + string(cmd.What))
}

// mustRun refuses what needs no data as everything else is refused while the
// cluster is suspended, starting or stopped.
func (h *Handler) mustRun(ctx context.Context, c *call) error {
	st, err := h.runtime.State(ctx, c.cluster.ID)
	switch {
	case err != nil:
		return err
	case st.Phase == cluster.Suspended:
		return &cluster.SuspendedError{Code: st.Code, VaultURI: st.VaultURI, Reason: st.Reason}
	case st.Phase != cluster.Running:
		return cluster.ErrNotRunning
	}
	return nil
}

// showVersion tells clients which of a cluster's two services answers: ingest
// clients detect a wrong address by it.
func (h *Handler) showVersion(c *call) tableResult {
	service := "Engine"
	if c.ingest {
		service = "DataManagement"
	}
	return tableResult{
		columns: []column{{"BuildVersion", types.String}, {"BuildTime", types.DateTime}, {"ServiceType", types.String}, {"ProductVersion", types.String}, {"ServiceOffering", types.String}},
		rows:    [][]any{{h.version, wire.Time(h.started), service, "Kustos " + h.version, `{"Type":"Kustos"}`}},
	}
}

// showCluster is the one node that there is; its memory is not the caller's business.
func (h *Handler) showCluster(ctx context.Context, c *call) (tableResult, error) {
	admin := c.access.may(needAdmin, "")
	about := struct {
		HotTier *cluster.HotState `json:",omitempty"`
	}{}
	if admin { // it says how much there is of every database
		state, err := h.runtime.State(ctx, c.cluster.ID)
		if err != nil {
			return tableResult{}, err
		}
		if state.Hot.Budget > 0 {
			about.HotTier = &state.Hot
		}
	}
	environment, err := json.Marshal(about)
	if err != nil {
		return tableResult{}, err
	}
	return tableResult{
		columns: join(cols(types.String, "NodeId", "Address", "Name"), cols(types.DateTime, "StartTime"), cols(types.Bool, "IsAdmin"),
			cols(types.Long, "MachineTotalMemory", "MachineAvailableMemory"), cols(types.Int, "ProcessorCount"), cols(types.String, "EnvironmentDescription")),
		rows: [][]any{{"Kustos", c.cluster.URI, c.cluster.Name, wire.Time(h.started), admin, nil, nil, runtime.NumCPU(), string(environment)}},
	}, nil
}

// principalRoles is what the caller was granted.
func (h *Handler) principalRoles(c *call) tableResult {
	out := tableResult{columns: cols(types.String, "Scope", "DisplayName", "AADObjectID", "Role")}
	for _, g := range c.access.grants {
		scope := "Cluster"
		if g.Scope == catalog.ScopeDatabase {
			scope = "Database " + g.Database
		}
		out.rows = append(out.rows, []any{scope, g.Name, g.ObjectID, g.Role})
	}
	return out
}

// suspension says since when and why a database is suspended because of its
// own key, with the code of the refusal as the state of a cluster has it, or closed
// because its log is damaged; "" when it is neither.
func (h *Handler) suspension(ctx context.Context, c *call, database string) (string, error) {
	st, err := h.runtime.DatabaseState(ctx, c.cluster.ID, database)
	switch {
	case err != nil:
		return "", err
	case st.Damage != nil:
		return "Closed since " + wire.Time(st.Damage.Since) + ": " + st.Damage.Summary(), nil
	case !st.Suspended:
		return "", nil
	}
	text := "Suspended since " + wire.Time(st.Since) + ": " + st.Reason
	if st.Code != "" {
		text += " (" + st.Code + ")"
	}
	return text, nil
}

// tablesToList are the tables of a database for a list of several databases:
// none of one that is closed, which must not hide the others.
func (h *Handler) tablesToList(ctx context.Context, c *call, database string, several bool) ([]catalog.Table, error) {
	tables, err := h.runtime.Tables(ctx, c.cluster.ID, database)
	var suspended *cluster.SuspendedError
	if several && closedAlone(err) && !(errors.As(err, &suspended) && suspended.Database == "") {
		return nil, nil
	}
	return tables, err
}

// databaseRows is a row for each database, in the columns of the command.
func (h *Handler) databaseRows(ctx context.Context, c *call, req request, what command.What, dbs []catalog.Database) (tableResult, error) {
	base := join(cols(types.String, "DatabaseName", "PersistentStorage", "Version"), cols(types.Bool, "IsCurrent"), cols(types.String, "DatabaseAccessMode", "PrettyName"))
	var out tableResult
	switch what {
	case command.DatabasesIdentity:
		out.columns = join(base, cols(types.Bool, "CurrentUserIsUnrestrictedViewer"), cols(types.GUID, "DatabaseId"), cols(types.String, "InTransitionTo"))
	case command.DatabasesDetails:
		out.columns = join(base, cols(types.String, "AuthorizedPrincipals", "RetentionPolicy", "MergePolicy", "ReservedSlot1", "CachingPolicy", "ShardingPolicy",
			"StreamingIngestionPolicy", "IngestionBatchingPolicy"), cols(types.Real, "TotalSize"), cols(types.GUID, "DatabaseId"), cols(types.String, "InTransitionTo"))
	default:
		out.columns = join(base, cols(types.Bool, "ReservedSlot1"), cols(types.GUID, "DatabaseId"), cols(types.String, "InTransitionTo", "SuspensionState"))
	}
	// A database that does not exist any more must not hide the list of those that do.
	current, err := h.database(ctx, c, req.Database)
	var missing *Error
	if err != nil && !errors.As(err, &missing) {
		return tableResult{}, err
	}
	for _, db := range dbs {
		row := []any{db.Name, "", "v1.0", db.Name == current, "ReadWrite", ""}
		suspension, err := h.suspension(ctx, c, db.Name)
		if err != nil {
			return tableResult{}, err
		}
		switch what {
		case command.DatabasesIdentity:
			row = append(row, c.access.may(needRead, db.Name), db.ID, "")
		case command.DatabasesDetails:
			policies := map[catalog.PolicyKind]string{}
			if suspension != "" { // nothing of it can be told
				row = append(row, "", "", "null", "", "", "null", "", "", nil, db.ID, "")
				break
			}
			for _, kind := range policyKinds() {
				if policies[kind], err = h.policyText(ctx, c, db.Name, "", kind); err != nil {
					return tableResult{}, err
				}
			}
			size, err := h.databaseSize(ctx, c, db.Name)
			if err != nil {
				return tableResult{}, err
			}
			row = append(row, "", policies[catalog.PolicyRetention], "null", "", policies[catalog.PolicyCaching], "null", policies[catalog.PolicyStreamingIngestion],
				policies[catalog.PolicyIngestionBatching], size, db.ID, "")
		default:
			row = append(row, nil, db.ID, "", suspension)
		}
		out.rows = append(out.rows, row)
	}
	return out, nil
}

// entities is a row for each table, as the web UI's tree reads them.
func (h *Handler) entities(ctx context.Context, c *call, dbs []catalog.Database) (tableResult, error) {
	out := tableResult{columns: join(cols(types.String, "DatabaseName", "EntityType", "EntityName", "DocString", "Folder", "CslInputSchema", "Content", "CslOutputSchema"), cols(types.Dynamic, "Properties"))}
	for _, db := range dbs {
		tables, err := h.tablesToList(ctx, c, db.Name, len(dbs) > 1)
		if err != nil {
			return tableResult{}, err
		}
		for _, t := range tables {
			out.rows = append(out.rows, []any{db.Name, "Table", t.Name, t.DocString, t.Folder, "", "", cslSchema(t), struct{}{}})
		}
	}
	return out, nil
}

func (h *Handler) databaseSize(ctx context.Context, c *call, database string) (float64, error) {
	tables, err := h.runtime.Tables(ctx, c.cluster.ID, database)
	if err != nil {
		return 0, err
	}
	var total float64
	for _, t := range tables {
		stats, err := h.runtime.TableStats(ctx, c.cluster.ID, database, t.Name)
		if err != nil {
			return 0, err
		}
		total += float64(stats.StoredBytes)
	}
	return total, nil
}

// schemaRows is one row for each database, table and column.
func (h *Handler) schemaRows(ctx context.Context, c *call, dbs []catalog.Database) (tableResult, error) {
	out := tableResult{columns: join(cols(types.String, "DatabaseName", "TableName", "ColumnName", "ColumnType"), cols(types.Bool, "IsDefaultTable", "IsDefaultColumn"),
		cols(types.String, "PrettyName", "Version", "Folder", "DocString"))}
	for _, db := range dbs {
		out.rows = append(out.rows, []any{db.Name, "", "", "", false, false, "", "v1.0", "", ""})
		tables, err := h.tablesToList(ctx, c, db.Name, len(dbs) > 1)
		if err != nil {
			return out, err
		}
		for _, t := range tables {
			out.rows = append(out.rows, []any{db.Name, t.Name, "", "", false, false, "", "", t.Folder, t.DocString})
			for _, col := range schemaColumns(t) {
				out.rows = append(out.rows, []any{db.Name, t.Name, col.Name, col.Type, false, false, "", "", "", col.DocString})
			}
		}
	}
	return out, nil
}

// schemaJSON is what editors and Grafana read.
func (h *Handler) schemaJSON(ctx context.Context, c *call, dbs []catalog.Database) (tableResult, error) {
	all := map[string]databaseSchema{}
	for _, db := range dbs {
		tables, err := h.tablesToList(ctx, c, db.Name, len(dbs) > 1)
		if err != nil {
			return tableResult{}, err
		}
		all[db.Name] = schemaOf(db.Name, tables)
	}
	text := mustJSON(map[string]any{"Plugins": []any{}, "Databases": all})
	return tableResult{columns: cols(types.String, "DatabaseSchema"), rows: [][]any{{string(text)}}}, nil
}

func (h *Handler) showDatabase(ctx context.Context, c *call, req request, cmd command.ShowDatabase) (tableResult, error) {
	name := cmd.Name
	if name == "" {
		name = req.Database
	}
	database, err := h.database(ctx, c, name)
	if err != nil {
		return tableResult{}, err
	}
	if err := c.access.require(needShow, database); err != nil {
		return tableResult{}, err
	}
	found, err := h.runtime.Database(ctx, c.cluster.ID, database)
	if err != nil {
		return tableResult{}, err
	}
	dbs := []catalog.Database{found}
	switch cmd.Form {
	case "":
		return h.databaseRows(ctx, c, req, command.Databases, dbs)
	case "details":
		return h.databaseRows(ctx, c, req, command.DatabasesDetails, dbs)
	case "identity":
		return h.databaseRows(ctx, c, req, command.DatabasesIdentity, dbs)
	case "schema":
		return h.schemaRows(ctx, c, dbs)
	case "schema as json":
		return h.schemaJSON(ctx, c, dbs)
	case "principals":
		return h.showPrincipals(ctx, c, database)
	}
	out := tableResult{columns: cols(types.String, "DatabaseSchemaScript")}
	tables, err := h.runtime.Tables(ctx, c.cluster.ID, database)
	for _, t := range tables {
		out.rows = append(out.rows, []any{createScript(t)})
	}
	return out, err
}

// createScript is the command that makes the table again.
func createScript(t catalog.Table) string {
	parts := make([]string, len(t.Columns))
	for i, col := range t.Columns {
		parts[i] = "['" + strings.ReplaceAll(col.Name, "'", `\'`) + "']:" + string(col.Type)
	}
	text := ".create-merge table ['" + strings.ReplaceAll(t.Name, "'", `\'`) + "'] (" + strings.Join(parts, ", ") + ")"
	if t.Folder != "" || t.DocString != "" {
		text += " with (folder = " + quoted(t.Folder) + ", docstring = " + quoted(t.DocString) + ")"
	}
	return text
}

// showPrincipals lists who may do what: on a database those of the cluster as
// well, on the cluster (database "") only its own.
func (h *Handler) showPrincipals(ctx context.Context, c *call, database string) (tableResult, error) {
	grants, err := h.runtime.Grants(ctx, c.cluster.ID)
	out := tableResult{columns: cols(types.String, "Role", "PrincipalType", "PrincipalDisplayName", "PrincipalObjectId", "PrincipalFQN", "Notes", "RoleAssignmentIdentifier")}
	for _, g := range grants {
		role := "Database " + database + " " + g.Role
		if g.Scope == catalog.ScopeCluster {
			role = g.Role
		} else if database == "" || !strings.EqualFold(g.Database, database) {
			continue
		}
		out.rows = append(out.rows, []any{role, "AAD " + g.PrincipalType, g.Name, g.ObjectID, fullName(g.AppID, g.ObjectID, g.TenantID), "", g.ID})
	}
	return out, err
}

func policyKinds() []catalog.PolicyKind {
	return []catalog.PolicyKind{catalog.PolicyStreamingIngestion, catalog.PolicyRetention, catalog.PolicyCaching, catalog.PolicyIngestionBatching}
}

// policyText is a policy's JSON, "null" when it was never set.
func (h *Handler) policyText(ctx context.Context, c *call, database, table string, kind catalog.PolicyKind) (string, error) {
	body, err := h.runtime.TablePolicy(ctx, c.cluster.ID, database, table, kind)
	if errors.Is(err, catalog.ErrNotFound) {
		return "null", nil
	}
	return string(body), err
}
