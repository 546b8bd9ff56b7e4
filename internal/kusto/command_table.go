package kusto

import (
	"context"
	"errors"
	"strings"
	"unicode"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/kql/types"
	"github.com/kustos-io/kustos/internal/kusto/command"
	"github.com/kustos-io/kustos/internal/wire"
)

func (h *Handler) showTables(ctx context.Context, c *call, database string, details bool) (tableResult, error) {
	tables, err := h.runtime.Tables(ctx, c.cluster.ID, database)
	if err != nil {
		return tableResult{}, err
	}
	if details {
		return h.tableDetails(ctx, c, database, tables)
	}
	out := tableResult{columns: cols(types.String, "TableName", "DatabaseName", "Folder", "DocString")}
	for _, t := range tables {
		out.rows = append(out.rows, []any{t.Name, database, t.Folder, t.DocString})
	}
	return out, nil
}

func (h *Handler) tableDetails(ctx context.Context, c *call, database string, tables []catalog.Table) (tableResult, error) {
	out := tableResult{columns: join(cols(types.String, "TableName", "DatabaseName", "Folder", "DocString"), cols(types.Long, "TotalExtents"), cols(types.Real, "TotalExtentSize", "TotalOriginalSize"),
		cols(types.Long, "TotalRowCount", "HotExtents"), cols(types.Real, "HotExtentSize", "HotOriginalSize"), cols(types.Long, "HotRowCount"),
		cols(types.String, "AuthorizedPrincipals", "RetentionPolicy", "CachingPolicy", "ShardingPolicy", "MergePolicy", "StreamingIngestionPolicy", "IngestionBatchingPolicy"),
		cols(types.DateTime, "MinExtentsCreationTime", "MaxExtentsCreationTime"), cols(types.String, "RowOrderPolicy"), cols(types.GUID, "TableId"))}
	for _, t := range tables {
		s, err := h.runtime.TableStats(ctx, c.cluster.ID, database, t.Name)
		if err != nil {
			return out, err
		}
		policies := map[catalog.PolicyKind]string{}
		for _, kind := range policyKinds() {
			if policies[kind], err = h.policyText(ctx, c, database, t.Name, kind); err != nil {
				return out, err
			}
		}
		stored, original := float64(s.StoredBytes), float64(s.OriginalSize)
		var first, last any
		if !s.MinIngested.IsZero() {
			first, last = wire.Time(s.MinIngested), wire.Time(s.MaxIngested)
		}
		out.rows = append(out.rows, []any{t.Name, database, t.Folder, t.DocString, s.Extents, stored, original, s.Rows, s.Extents, stored, original, s.Rows,
			"", policies[catalog.PolicyRetention], policies[catalog.PolicyCaching], "null", "null", policies[catalog.PolicyStreamingIngestion], policies[catalog.PolicyIngestionBatching], first, last, "null", t.ID})
	}
	return out, nil
}

// schemaResult is the five columns that creating and showing a schema answer.
func schemaResult(database, schema string, t catalog.Table) tableResult {
	return tableResult{columns: cols(types.String, "TableName", "Schema", "DatabaseName", "Folder", "DocString"),
		rows: [][]any{{t.Name, schema, database, t.Folder, t.DocString}}}
}

func (h *Handler) showTable(ctx context.Context, c *call, database string, cmd command.ShowTable) (tableResult, error) {
	if err := c.access.require(needShow, database); err != nil {
		return tableResult{}, err
	}
	t, err := h.table(ctx, c, database, cmd.Name)
	if err != nil {
		return tableResult{}, err
	}
	switch cmd.Form {
	case "details":
		return h.tableDetails(ctx, c, database, []catalog.Table{t})
	case "cslschema":
		return schemaResult(database, cslSchema(t), t), nil
	case "schema as json":
		return schemaResult(database, tableSchemaJSON(t), t), nil
	}
	// Sizes of single columns are not kept.
	out := tableResult{columns: join(cols(types.String, "AttributeName", "AttributeType"), cols(types.Long, "ExtentSize"), cols(types.Real, "CompressionRatio"),
		cols(types.Long, "IndexSize"), cols(types.Real, "IndexSizePercent"), cols(types.Long, "OriginalSize"), cols(types.GUID, "AttributeId"),
		cols(types.Long, "SharedIndexSize"), cols(types.String, "StorageEngineVersion"))}
	for _, col := range schemaColumns(t) {
		out.rows = append(out.rows, []any{col.Name, col.Type, nil, nil, nil, nil, nil, nil, nil, ""})
	}
	return out, nil
}

func (h *Handler) createTable(ctx context.Context, c *call, database string, cmd command.CreateTable) (tableResult, error) {
	if err := c.access.require(needCreate, database); err != nil {
		return tableResult{}, err
	}
	t := catalog.Table{Name: cmd.Name, Folder: cmd.Folder, DocString: cmd.DocString}
	if err := checkName("table", cmd.Name); err != nil {
		return tableResult{}, err
	}
	seen := map[string]bool{}
	for _, col := range cmd.Columns {
		if err := checkName("column", col.Name); err != nil {
			return tableResult{}, err
		}
		if seen[col.Name] {
			return tableResult{}, badRequest("column '%s' is declared twice", col.Name)
		}
		seen[col.Name] = true
		typ, ok := types.Parse(col.Type)
		if !ok {
			return tableResult{}, badRequest("column '%s' has the unknown type '%s'", col.Name, col.Type)
		}
		t.Columns = append(t.Columns, catalog.Column{Name: col.Name, Type: catalog.Type(typ.String())})
	}
	if len(t.Columns) == 0 {
		return tableResult{}, badRequest("table '%s' needs at least one column", cmd.Name)
	}
	made, err := h.runtime.CreateTable(ctx, c.cluster.ID, database, t)
	if errors.Is(err, catalog.ErrExists) {
		if !cmd.Merge {
			return tableResult{}, entityExists("Table", cmd.Name)
		}
		made, err = h.mergeTable(ctx, c, database, t)
	}
	if err != nil {
		return tableResult{}, err
	}
	return schemaResult(database, tableSchemaJSON(made), made), nil
}

// mergeTable adds the columns that the existing table lacks.
func (h *Handler) mergeTable(ctx context.Context, c *call, database string, want catalog.Table) (catalog.Table, error) {
	have, err := h.table(ctx, c, database, want.Name)
	if err != nil {
		return have, err
	}
	changed := false
	for _, col := range want.Columns {
		found := false
		for _, old := range have.Columns {
			if old.Name == col.Name {
				if found = true; old.Type != col.Type {
					return have, badRequest("column '%s' is %s in table '%s' and cannot become %s", col.Name, old.Type, want.Name, col.Type)
				}
			}
		}
		if !found {
			have.Columns, changed = append(have.Columns, col), true
		}
	}
	if want.Folder != "" && want.Folder != have.Folder {
		have.Folder, changed = want.Folder, true
	}
	if want.DocString != "" && want.DocString != have.DocString {
		have.DocString, changed = want.DocString, true
	}
	if !changed {
		return have, nil
	}
	return h.runtime.AlterTable(ctx, c.cluster.ID, database, have)
}

// maxName is the longest entity name.
const maxName = 1024

// checkName enforces Kusto's identifier rules: letters, digits, blank, '_', '-', '.'.
func checkName(kind, name string) error {
	if name == "" || len(name) > maxName || strings.TrimSpace(name) != name {
		return badRequest("'%s' is not a valid %s name", name, kind)
	}
	for _, r := range name {
		if r != '_' && r != '-' && r != '.' && r != ' ' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return badRequest("'%s' is not a valid %s name: letters, digits, blanks and _ - . are allowed", name, kind)
		}
	}
	return nil
}

func (h *Handler) dropTable(ctx context.Context, c *call, database string, cmd command.DropTable) (tableResult, error) {
	if err := c.access.require(needAdmin, database); err != nil {
		return tableResult{}, err
	}
	err := h.runtime.DropTable(ctx, c.cluster.ID, database, cmd.Name)
	if errors.Is(err, catalog.ErrNotFound) && !cmd.IfExists {
		return tableResult{}, entityNotFound("Table", cmd.Name)
	}
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return tableResult{}, err
	}
	tables, err := h.runtime.Tables(ctx, c.cluster.ID, database)
	out := tableResult{columns: cols(types.String, "TableName", "DatabaseName")}
	for _, t := range tables {
		out.rows = append(out.rows, []any{t.Name, database})
	}
	return out, err
}
