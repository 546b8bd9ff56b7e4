package kusto

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/kql"
)

const (
	queryTimeout   = 4 * time.Minute
	commandTimeout = 10 * time.Minute
	writeBuffer    = 64 << 10
)

// defaultDatabase is what SDKs send when no database was chosen.
const defaultDatabase = "NetDefaultDB"

// resultTable is one compiled tabular statement.
type resultTable struct {
	name          string
	columns       []column
	query         cluster.Query
	visualization json.RawMessage
}

// compile turns the text into plans; names resolve only to what the caller may read.
// Options that the text sets are added to the request's.
func (h *Handler) compile(ctx context.Context, c *call, req *request) ([]resultTable, error) {
	var closed error
	env, err := h.environment(ctx, c, *req, &closed)
	if err != nil {
		return nil, err
	}
	program, err := kql.Compile(req.Text, env)
	if err != nil && closed != nil {
		return nil, closed
	}
	if err != nil {
		return nil, err
	}
	if err := req.Options.set(program.Options); err != nil {
		return nil, err
	}
	out := make([]resultTable, len(program.Results))
	for i, res := range program.Results {
		t := resultTable{name: res.Name, query: cluster.Query{Database: env.Database, SQL: res.SQL, Params: res.Params}}
		if t.name == "" {
			t.name = "PrimaryResult"
		}
		for _, col := range res.Columns {
			t.columns = append(t.columns, column{col.Name, col.Type})
		}
		for _, use := range res.Tables {
			t.query.Tables = append(t.query.Tables, cluster.TableRef{Placeholder: use.Placeholder, TableID: use.Ref, Branches: use.Branches})
		}
		if t.visualization, err = visualization(res); err != nil {
			return nil, err
		}
		out[i] = t
	}
	return out, nil
}

// environment is what the compiler may see of the cluster. closed becomes why
// a database that a query looks into is closed: names in it do not resolve then.
func (h *Handler) environment(ctx context.Context, c *call, req request, closed *error) (kql.Env, error) {
	database, err := h.database(ctx, c, req.Database)
	if err != nil {
		return kql.Env{}, err
	}
	if database != "" { // a suspended cluster says so, rather than that a name is unknown
		if _, err := h.runtime.Tables(ctx, c.cluster.ID, database); err != nil {
			return kql.Env{}, err
		}
	}
	now := req.Options.Now
	if now.IsZero() {
		now = h.now()
	}
	tables := func(name string) []catalog.Table {
		if !c.access.may(needRead, name) {
			return nil
		}
		list, err := h.runtime.Tables(ctx, c.cluster.ID, name)
		if closedAlone(err) {
			*closed = err
			return nil
		}
		if err != nil {
			return nil // an unknown database has no tables; the query says which name did not resolve
		}
		return list
	}
	return kql.Env{
		Database: database, Now: now.UTC(), Parameters: req.Parameters,
		Lookup: func(db, name string) (*kql.Table, bool) {
			for _, t := range tables(db) {
				if t.Name == name {
					return kqlTable(t), true
				}
			}
			return nil, false
		},
		Tables: func(db string) []string {
			var names []string
			for _, t := range tables(db) {
				names = append(names, t.Name)
			}
			return names
		},
	}, nil
}

func kqlTable(t catalog.Table) *kql.Table {
	out := &kql.Table{Ref: t.ID}
	for _, c := range t.Columns {
		out.Columns = append(out.Columns, kql.Column{Name: c.Name, Type: kqlType(c.Type), Physical: c.Physical()})
	}
	return out
}

// database resolves the request's database name to the spelling of creation.
// NetDefaultDB and an empty name mean the first database the caller may read,
// else the first whose metadata the caller may see, or none at all.
func (h *Handler) database(ctx context.Context, c *call, name string) (string, error) {
	all, err := h.runtime.Databases(ctx, c.cluster.ID)
	if err != nil {
		return "", err
	}
	if name != "" && !strings.EqualFold(name, defaultDatabase) {
		for _, db := range all {
			if strings.EqualFold(db.Name, name) {
				return db.Name, nil
			}
		}
		return "", databaseNotFound(name)
	}
	for _, n := range []need{needRead, needShow} {
		for _, db := range all {
			if c.access.may(n, db.Name) {
				return db.Name, nil
			}
		}
	}
	return "", nil
}

// answer is where rows go: a v1 or a v2 table.
type answer interface {
	row(encoded []byte)
	close(failure *Error)
}

// openRows starts a query and waits for its first batch, so that a refusal of
// the engine is still an HTTP error.
func (h *Handler) openRows(ctx context.Context, c *call, t resultTable) (rows engine.Rows, more bool, err error) {
	if rows, err = h.runtime.Query(ctx, c.cluster.ID, t.query); err != nil {
		return nil, false, err
	}
	if more = rows.Next(); !more {
		err = rows.Err()
	} else if end, ok := ctx.Deadline(); ok && time.Until(end) <= 0 {
		err = context.DeadlineExceeded // the rows were faster than the news that they are late
	}
	if err != nil {
		_ = rows.Close()
		return nil, false, err
	}
	return rows, more, nil
}

// copyRows writes every row, up to the limits; what goes wrong after the first
// byte becomes the table's failure.
func (h *Handler) copyRows(rows engine.Rows, more bool, columns []column, opts options, out answer) (count int64, failure *Error) {
	defer rows.Close()
	var size int64
	var buf []byte
	maxRecords, maxSize, take := opts.limits()
	for ; more; more = rows.Next() {
		c, err := newCells(columns, rows.RecordBatch())
		if err != nil {
			return count, asError(err)
		}
		for i := range int(rows.RecordBatch().NumRows()) {
			if take >= 0 && count >= take {
				return count, nil
			}
			if maxRecords > 0 && count >= maxRecords {
				return count, truncated(fmt.Sprintf("%d records", maxRecords))
			}
			buf = c.appendRow(buf[:0], i)
			if size += int64(len(buf)); maxSize > 0 && size > maxSize {
				return count, truncated(sizeText(maxSize))
			}
			out.row(buf)
			count++
		}
		if t, ok := out.(*v2Table); ok {
			t.flush()
		}
	}
	if err := rows.Err(); err != nil {
		return count, asError(err)
	}
	return count, nil
}

// sizeText prints a size as the service does, in MB, unless it is not whole.
func sizeText(n int64) string {
	if n%(1<<20) == 0 {
		return fmt.Sprintf("%d MB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}

func truncated(limit string) *Error {
	return &Error{Status: http.StatusOK, Code: "LimitsExceeded", Type: "Kusto.Data.Exceptions.KustoServicePartialQueryFailureLimitsExceededException",
		Message: "Query execution has exceeded the allowed limits (80DA0003): The results of this query exceed the set limit of " + limit +
			", so not all records were returned (E_QUERY_RESULT_SET_TOO_LARGE, 0x80DA0003). See https://aka.ms/kustoquerylimits for more information and possible solutions.."}
}

func (h *Handler) queryV2(w http.ResponseWriter, r *http.Request, c *call) error {
	req, err := readRequest(r)
	if err != nil {
		return err
	}
	if isCommand(req.Text) {
		return badRequest("control commands are sent to /v1/rest/mgmt")
	}
	ctx, cancel := context.WithTimeout(r.Context(), req.Options.timeout(queryTimeout))
	defer cancel()
	tables, rows, more, err := h.prepare(ctx, c, &req, needRead)
	if err != nil {
		return err
	}
	body := &lateBody{w: w, r: r}
	out := newV2Writer(bufio.NewWriterSize(body, writeBuffer), req.Options, c.act, h.now)
	out.header()
	out.properties(visualizations(tables))
	var total int64
	var failure *Error
	for i, t := range tables {
		if i > 0 {
			if rows, more, err = h.openRows(ctx, c, t); err != nil {
				failure = asError(err)
			}
		}
		table := out.table(t.name, t.columns)
		if failure == nil {
			var n int64
			n, failure = h.copyRows(rows, more, t.columns, req.Options, table)
			total += n
		}
		if body.overtaken(failure) {
			return failure
		}
		table.close(failure)
		if failure != nil {
			break
		}
	}
	h.done(ctx, c, total, failure)
	if err := errors.Join(out.finish(), body.close()); err != nil {
		h.log.DebugContext(ctx, "client left during the answer", "request_id", c.act.ID, "error", err)
	}
	return nil
}

// prepare compiles the request and opens its first result. The caller must be
// allowed n on the request's database.
func (h *Handler) prepare(ctx context.Context, c *call, req *request, n need) ([]resultTable, engine.Rows, bool, error) {
	database, err := h.database(ctx, c, req.Database)
	if err != nil {
		return nil, nil, false, err
	}
	if err := c.access.require(n, database); err != nil {
		return nil, nil, false, err
	}
	if database == "" { // a cluster without databases: there is nothing to run in
		return nil, nil, false, databaseNotFound(defaultDatabase)
	}
	tables, err := h.compile(ctx, c, req)
	if err != nil {
		return nil, nil, false, err
	}
	rows, more, err := h.openRows(ctx, c, tables[0])
	return tables, rows, more, err
}

func visualizations(tables []resultTable) []json.RawMessage {
	out := make([]json.RawMessage, len(tables))
	for i, t := range tables {
		out[i] = t.visualization
	}
	return out
}

func (h *Handler) queryV1(w http.ResponseWriter, r *http.Request, c *call) error {
	req, err := readRequest(r)
	if err != nil {
		return err
	}
	if isCommand(req.Text) { // Grafana sends commands here
		return h.command(w, r, c, req)
	}
	ctx, cancel := context.WithTimeout(r.Context(), req.Options.timeout(queryTimeout))
	defer cancel()
	return h.answerV1(ctx, w, r, c, req, needRead)
}

// answerV1 runs a query and answers in v1 shape.
func (h *Handler) answerV1(ctx context.Context, w http.ResponseWriter, r *http.Request, c *call, req request, n need) error {
	tables, rows, more, err := h.prepare(ctx, c, &req, n)
	if err != nil {
		return err
	}
	body := &lateBody{w: w, r: r}
	out := newV1Writer(bufio.NewWriterSize(body, writeBuffer))
	var total int64
	var failure *Error
	var names []string
	for i, t := range tables {
		if i > 0 {
			if rows, more, err = h.openRows(ctx, c, t); err != nil {
				failure = asError(err)
			}
		}
		table := out.table(t.columns)
		names = append(names, t.name)
		if failure == nil {
			var n int64
			n, failure = h.copyRows(rows, more, t.columns, req.Options, table)
			total += n
		}
		if body.overtaken(failure) {
			return failure
		}
		table.close(failure)
		if failure != nil {
			break
		}
	}
	out.querySuffix(names, visualizations(tables), c.act, h.now())
	h.done(ctx, c, total, failure)
	if err := errors.Join(out.finish(), body.close()); err != nil {
		h.log.DebugContext(ctx, "client left during the answer", "request_id", c.act.ID, "error", err)
	}
	return nil
}

// done logs how a query ended, never what it said.
func (h *Handler) done(ctx context.Context, c *call, rows int64, failure *Error) {
	attrs := []any{"request_id", c.act.ID, "cluster", c.cluster.Name, "principal", c.access.principal.ObjectID, "rows", rows}
	if failure != nil {
		h.log.WarnContext(ctx, "query ended early", append(attrs, "code", failure.Code)...)
		return
	}
	h.log.DebugContext(ctx, "query answered", attrs...)
}

// isCommand reports whether a text is a control command: it begins with a dot
// after blanks and comments.
func isCommand(text string) bool {
	for {
		text = strings.TrimSpace(text)
		if !strings.HasPrefix(text, "//") {
			return strings.HasPrefix(text, ".")
		}
		_, text, _ = strings.Cut(text, "\n")
	}
}
