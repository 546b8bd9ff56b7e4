package kusto

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/kql/types"
	"github.com/kustos-io/kustos/internal/wire"
)

// v1Writer writes {"Tables":[…]} as rows come.
type v1Writer struct {
	w      *bufio.Writer
	tables int
	failed []*Error
}

func newV1Writer(w *bufio.Writer) *v1Writer {
	w.WriteString(`{"Tables":[`)
	return &v1Writer{w: w}
}

// table begins the next table, named Table_0, Table_1, ….
func (v *v1Writer) table(columns []column) *v1Table { return v.begin(columns, "SByte") }

// commandTable is table for a command's answer, which calls a bool Boolean.
func (v *v1Writer) commandTable(columns []column) *v1Table { return v.begin(columns, "Boolean") }

func (v *v1Writer) begin(columns []column, boolName string) *v1Table {
	if v.tables > 0 {
		v.w.WriteByte(',')
	}
	fmt.Fprintf(v.w, `{"TableName":"Table_%d","Columns":[`, v.tables)
	v.tables++
	for i, c := range columns {
		if i > 0 {
			v.w.WriteByte(',')
		}
		net := netType(c.Type)
		if c.Type == types.Bool {
			net = boolName
		}
		fmt.Fprintf(v.w, `{"ColumnName":%s,"DataType":"%s","ColumnType":"%s"}`, appendString(nil, c.Name), net, c.Type)
	}
	v.w.WriteString(`],"Rows":[`)
	return &v1Table{v: v}
}

type v1Table struct {
	v    *v1Writer
	rows int64
}

func (t *v1Table) row(encoded []byte) {
	if t.rows > 0 {
		t.v.w.WriteByte(',')
	}
	t.rows++
	t.v.w.Write(encoded)
}

// close ends the table; a failure is the last element of Rows.
func (t *v1Table) close(failure *Error) {
	if failure != nil {
		if t.rows > 0 {
			t.v.w.WriteByte(',')
		}
		fmt.Fprintf(t.v.w, `{"Exceptions":%s}`, mustJSON([]string{failure.Message}))
		t.v.failed = append(t.v.failed, failure)
	}
	t.v.w.WriteString("]}")
}

// querySuffix writes the three tables that follow the results of a query: the
// properties, the status, and last the table of contents.
func (v *v1Writer) querySuffix(names []string, visualizations []json.RawMessage, act activity, now time.Time) {
	props := v.table([]column{{"Value", types.String}})
	for _, vis := range visualizations {
		props.row(mustJSON([]string{string(vis)}))
	}
	props.close(nil)
	status := v.table([]column{{"Timestamp", types.DateTime}, {"Severity", types.Int}, {"SeverityName", types.String}, {"StatusCode", types.Int},
		{"StatusDescription", types.String}, {"Count", types.Int}, {"RequestId", types.GUID}, {"ActivityId", types.GUID}, {"SubActivityId", types.GUID}, {"ClientActivityId", types.String}})
	severity, name, code, text := 4, "Info", 0, "Query completed successfully"
	if len(v.failed) > 0 {
		severity, name, text = 2, "Error", v.failed[0].Message
		code, _, _ = v.failed[0].hresult()
	}
	status.row(mustJSON([]any{wire.Time(now), severity, name, code, text, 1, act.ID, act.ID, ids.NewGUID(), act.ClientRequestID}))
	status.close(nil)
	toc := v.table([]column{{"Ordinal", types.Long}, {"Kind", types.String}, {"Name", types.String}, {"Id", types.String}, {"PrettyName", types.String}})
	entry := func(i int, kind, name string) {
		toc.row(mustJSON([]any{i, kind, name, ids.NewGUID(), ""}))
	}
	for i, n := range names {
		entry(i, "QueryResult", n)
	}
	entry(len(names), "QueryProperties", "@ExtendedProperties")
	entry(len(names)+1, "QueryStatus", "QueryStatus")
	toc.close(nil)
}

// finish ends the answer.
func (v *v1Writer) finish() error {
	v.w.WriteByte(']')
	if len(v.failed) > 0 {
		texts := make([]string, len(v.failed))
		for i, f := range v.failed {
			texts[i] = f.Message
		}
		fmt.Fprintf(v.w, `,"Exceptions":%s`, mustJSON(texts))
	}
	v.w.WriteString("}\n")
	return v.w.Flush()
}

// newV1Buffer writes a small answer into memory first.
func newV1Buffer(buf *bytes.Buffer) *v1Writer { return newV1Writer(bufio.NewWriter(buf)) }
