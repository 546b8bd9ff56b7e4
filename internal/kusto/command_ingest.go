package kusto

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/kql/types"
	"github.com/kustos-io/kustos/internal/kusto/command"
	"github.com/kustos-io/kustos/internal/kusto/ingest"
)

// noExtent is the extent id of rows that are durable in the log and not yet in an extent.
const noExtent = "00000000-0000-0000-0000-000000000000"

func (h *Handler) ingestInline(ctx context.Context, c *call, database string, cmd command.IngestInline) (tableResult, error) {
	if err := c.access.require(needIngest, database); err != nil {
		return tableResult{}, err
	}
	t, err := h.table(ctx, c, database, cmd.Table)
	if err != nil {
		return tableResult{}, err
	}
	format, opts, err := inlineOptions(cmd.Properties)
	if err != nil {
		return tableResult{}, err
	}
	began := h.now()
	if _, err := h.ingestBytes(ctx, c, database, t, format, []byte(cmd.Data), opts); err != nil {
		return tableResult{}, err
	}
	return tableResult{
		columns: join(cols(types.GUID, "ExtentId"), cols(types.String, "ItemLoaded"), cols(types.TimeSpan, "Duration"), cols(types.Bool, "HasErrors"), cols(types.GUID, "OperationId")),
		rows:    [][]any{{noExtent, "inline", duration(h.now().Sub(began)), false, ids.NewGUID()}},
	}, nil
}

// duration is a timespan cell.
func duration(d time.Duration) string {
	return strings.Trim(string(appendTimespan(nil, int64(d)/100)), `"`)
}

// inlineOptions reads the with(…) clause; what is not built is refused by name.
func inlineOptions(props map[string]string) (ingest.Format, ingest.Options, error) {
	var o ingest.Options
	format := ingest.CSV
	for name, value := range props {
		var err error
		switch name {
		case "format":
			format, err = ingest.ParseFormat(value)
			if err == nil && format == ingest.Parquet {
				err = errors.New("parquet cannot be ingested inline; use streaming ingestion")
			}
		case "ignorefirstrecord":
			o.IgnoreFirstRecord = strings.EqualFold(value, "true")
		case "ingestionmapping":
			o.Mapping, err = ingest.ParseMapping(value)
		default:
			err = fmt.Errorf("the ingestion property '%s' is not supported", name)
		}
		if err != nil {
			return "", o, badRequest("%s", err)
		}
	}
	return format, o, nil
}

// ingestQuery serves .set, .append and .set-or-append: the query's result
// becomes one extent, wholly or not at all.
func (h *Handler) ingestQuery(ctx context.Context, c *call, req request, database string, cmd command.IngestQuery) (tableResult, error) {
	t, err := h.table(ctx, c, database, cmd.Table)
	var missing *Error
	exists := err == nil
	switch {
	case errors.As(err, &missing) && cmd.Create:
		if err = checkName("table", cmd.Table); err == nil {
			err = c.access.require(needCreate, database)
		}
	case exists && !cmd.Append:
		err = entityExists("Table", cmd.Table)
	case exists:
		err = c.access.require(needIngest, database)
	}
	if err == nil {
		err = c.access.require(needRead, database)
	}
	if err != nil {
		return tableResult{}, err
	}
	text := strings.TrimSpace(req.Text)
	start := strings.Index(req.Text, text) + len(text) - len(cmd.Query)
	command := req.Text
	req.Text = cmd.Query
	compiled, err := h.compile(ctx, c, &req)
	if err != nil {
		return tableResult{}, moved(err, command, start, 0)
	}
	if len(compiled) != 1 {
		return tableResult{}, badRequest("the query must have exactly one tabular result")
	}
	if exists {
		err = fitsTable(compiled[0].columns, t)
	} else {
		t = catalog.Table{Name: cmd.Table, Folder: cmd.Folder, DocString: cmd.DocString}
		for _, col := range compiled[0].columns {
			if err := checkName("column", col.Name); err != nil {
				return tableResult{}, err
			}
			t.Columns = append(t.Columns, catalog.Column{Name: col.Name, Type: catalog.Type(col.Type.String())})
		}
		_, err = h.runtime.CreateTable(ctx, c.cluster.ID, database, t)
	}
	if err != nil {
		return tableResult{}, err
	}
	rows, err := h.runtime.IngestQuery(ctx, c.cluster.ID, database, cmd.Table, compiled[0].query)
	if err != nil {
		if !exists { // a refused command leaves no table behind
			err = errors.Join(err, h.runtime.DropTable(context.WithoutCancel(ctx), c.cluster.ID, database, cmd.Table))
		}
		return tableResult{}, err
	}
	return tableResult{columns: join(cols(types.GUID, "ExtentId"), cols(types.Long, "OriginalSize", "ExtentSize", "ColumnSize", "IndexSize", "RowCount")),
		rows: [][]any{{noExtent, nil, nil, nil, nil, rows}}}, nil
}

// fitsTable checks a query's columns against the table's, by position.
func fitsTable(columns []column, t catalog.Table) error {
	if len(columns) != len(t.Columns) {
		return badRequest("the query has %d columns, table '%s' has %d", len(columns), t.Name, len(t.Columns))
	}
	for i, col := range columns {
		if want := t.Columns[i]; col.Type.String() != string(want.Type) {
			return badRequest("column %d of the query is %s, column '%s' of table '%s' is %s", i+1, col.Type, want.Name, t.Name, want.Type)
		}
	}
	return nil
}
