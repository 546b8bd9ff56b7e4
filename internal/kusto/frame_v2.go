package kusto

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/wire"
)

// v2Writer writes the frames of a v2 answer. The Go SDK reads members by
// position, so the order inside every frame is fixed, Rows stands last, and in
// the newline form each frame is one line that begins with '[' or ','.
type v2Writer struct {
	w       *bufio.Writer
	opts    options
	act     activity
	now     func() time.Time
	started time.Time
	first   bool
	tableID int
	errors  []map[string]oneAPI // for DataSetCompletion
	failed  *Error              // what ended the answer early, for the completion table
	stats   []tableStats
}

func newV2Writer(w *bufio.Writer, opts options, act activity, now func() time.Time) *v2Writer {
	return &v2Writer{w: w, opts: opts, act: act, now: now, started: now(), first: true}
}

// open begins a frame: '[' or ',', and the frame's opening text.
func (v *v2Writer) open(format string, args ...any) {
	if v.first {
		v.w.WriteByte('[')
	} else {
		v.w.WriteByte(',')
	}
	v.first = false
	fmt.Fprintf(v.w, format, args...)
}

// end closes a frame with text.
func (v *v2Writer) end(text string) {
	v.w.WriteString(text)
	if v.opts.Newlines || v.opts.Fragmented {
		v.w.WriteByte('\n')
	}
}

func (v *v2Writer) header() {
	if v.opts.Fragmented {
		placement := map[string]string{"end_of_table": "EndOfTable", "end_of_dataset": "EndOfDataSet"}[v.opts.ErrorPlacement]
		if placement == "" {
			placement = "InData"
		}
		v.open(`{"FrameType":"DataSetHeader","IsProgressive":false,"Version":"v2.0","IsFragmented":true,"ErrorReportingPlacement":"%s"}`, placement)
	} else {
		v.open(`{"FrameType":"DataSetHeader","IsProgressive":false,"Version":"v2.0"}`)
	}
	v.end("")
}

// properties writes the @ExtendedProperties table: one row per result table.
func (v *v2Writer) properties(visualizations []json.RawMessage) {
	v.open(`{"FrameType":"DataTable","TableId":0,"TableKind":"QueryProperties","TableName":"@ExtendedProperties","Columns":[{"ColumnName":"TableId","ColumnType":"int"},{"ColumnName":"Key","ColumnType":"string"},{"ColumnName":"Value","ColumnType":"dynamic"}],"Rows":[`)
	for i, vis := range visualizations {
		if i > 0 {
			v.w.WriteByte(',')
		}
		fmt.Fprintf(v.w, `[%d,"Visualization",`, i+1)
		v.w.Write(appendString(nil, string(vis)))
		v.w.WriteByte(']')
	}
	v.end("]}")
}

// table begins a primary result table; rows follow by row, then endTable.
func (v *v2Writer) table(name string, columns []column) *v2Table {
	v.tableID++
	t := &v2Table{v: v}
	kind := "DataTable"
	if v.opts.Fragmented {
		kind = "TableHeader"
	}
	v.open(`{"FrameType":"%s","TableId":%d,"TableKind":"PrimaryResult","TableName":%s,"Columns":[`, kind, v.tableID, appendString(nil, name))
	for i, c := range columns {
		if i > 0 {
			v.w.WriteByte(',')
		}
		fmt.Fprintf(v.w, `{"ColumnName":%s,"ColumnType":"%s"}`, appendString(nil, c.Name), c.Type)
	}
	if v.opts.Fragmented {
		v.end("]}")
	} else {
		v.w.WriteString(`],"Rows":[`)
	}
	return t
}

// tableStats is what the answer says about one result table.
type tableStats struct {
	Rows int64 `json:"table_row_count"`
	Size int64 `json:"table_size"`
}

// v2Table is the open primary table.
type v2Table struct {
	v          *v2Writer
	rows       int64
	size       int64 // bytes of encoded rows
	inFragment bool
	inRows     bool // something stands in the open Rows array already
}

// fragment opens a TableFragment when the form needs one.
func (t *v2Table) fragment() {
	if t.v.opts.Fragmented && !t.inFragment {
		t.v.open(`{"FrameType":"TableFragment","TableFragmentType":"DataAppend","TableId":%d,"Rows":[`, t.v.tableID)
		t.inFragment, t.inRows = true, false
	}
}

// row writes one encoded row.
func (t *v2Table) row(encoded []byte) {
	t.fragment()
	if t.inRows {
		t.v.w.WriteByte(',')
	}
	t.inRows = true
	t.v.w.Write(encoded)
	t.rows++
	t.size += int64(len(encoded))
}

// flush ends the open fragment, so that a client can read what is there.
func (t *v2Table) flush() {
	if t.inFragment {
		t.v.end("]}")
		t.inFragment = false
	}
}

// close ends the table. A failure in the middle of it is placed as the client
// asked: in the data, at the end of the table, or only at the end of the set.
func (t *v2Table) close(failure *Error) {
	t.v.stats = append(t.v.stats, tableStats{t.rows, t.size})
	var oneAPIErrors []byte
	if failure != nil {
		t.v.failed = failure
		if !t.v.opts.DeferErrors {
			e := failure.wire(t.v.act, t.v.now())
			t.v.errors = append(t.v.errors, e)
			oneAPIErrors = mustJSON([]any{e})
		}
	}
	if oneAPIErrors != nil && t.v.opts.ErrorPlacement == "in_data" {
		t.fragment()
		if t.inRows {
			t.v.w.WriteByte(',')
		}
		fmt.Fprintf(t.v.w, `{"OneApiErrors":%s}`, oneAPIErrors)
	}
	if !t.v.opts.Fragmented {
		t.v.end("]}")
		return
	}
	t.flush()
	t.v.open(`{"FrameType":"TableCompletion","TableId":%d,"RowCount":%d`, t.v.tableID, t.rows)
	if oneAPIErrors != nil && t.v.opts.ErrorPlacement == "end_of_table" {
		fmt.Fprintf(t.v.w, `,"OneApiErrors":%s`, oneAPIErrors)
	}
	t.v.end("}")
}

// completionColumns are the columns of QueryCompletionInformation.
const completionColumns = `[{"ColumnName":"Timestamp","ColumnType":"datetime"},{"ColumnName":"ClientRequestId","ColumnType":"string"},{"ColumnName":"ActivityId","ColumnType":"guid"},{"ColumnName":"SubActivityId","ColumnType":"guid"},{"ColumnName":"ParentActivityId","ColumnType":"guid"},{"ColumnName":"Level","ColumnType":"int"},{"ColumnName":"LevelName","ColumnType":"string"},{"ColumnName":"StatusCode","ColumnType":"int"},{"ColumnName":"StatusCodeName","ColumnType":"string"},{"ColumnName":"EventType","ColumnType":"int"},{"ColumnName":"EventTypeName","ColumnType":"string"},{"ColumnName":"Payload","ColumnType":"string"}]`

// consumption is the payload of the statistics row. What this server does not
// measure is null: a number would be an invention.
type consumption struct {
	ExecutionTime float64       `json:"ExecutionTime"` // seconds
	Resources     resourceUsage `json:"resource_usage"`
	Input         inputStats    `json:"input_dataset_statistics"`
	Output        []tableStats  `json:"dataset_statistics"`
}

type resourceUsage struct {
	Cache struct {
		Memory *struct{} `json:"memory"`
		Disk   *struct{} `json:"disk"`
		Shards *struct{} `json:"shards"`
	} `json:"cache"`
	CPU struct {
		User   *string `json:"user"`
		Kernel *string `json:"kernel"`
		Total  *string `json:"total cpu"`
	} `json:"cpu"`
	Memory struct {
		Peak *int64 `json:"peak_per_node"`
	} `json:"memory"`
}

type inputStats struct {
	Extents   *struct{} `json:"extents"`
	Rows      *struct{} `json:"rows"`
	RowStores *struct{} `json:"rowstores"`
	Shards    *struct{} `json:"shards"`
}

// finish writes the completion table and the last frame.
func (v *v2Writer) finish() error {
	v.tableID++
	v.open(`{"FrameType":"DataTable","TableId":%d,"TableKind":"QueryCompletionInformation","TableName":"QueryCompletionInformation","Columns":%s,"Rows":[`, v.tableID, completionColumns)
	if v.failed == nil {
		v.completionRow(4, "Info", 0, "S_OK (0)", 4, "QueryInfo", mustJSON(queryInfo{1, "Query completed successfully"}))
	} else {
		code, name, event := v.failed.hresult()
		v.completionRow(2, "Error", code, name, 1, event, mustJSON(queryInfo{1, v.failed.Message}))
	}
	v.w.WriteByte(',')
	v.completionRow(6, "Stats", 0, "S_OK (0)", 0, "QueryResourceConsumption",
		mustJSON(consumption{ExecutionTime: v.now().Sub(v.started).Seconds(), Output: v.stats}))
	v.end("]}")
	isCancelled := v.failed != nil && v.failed.Code == cancelled
	if len(v.errors) > 0 {
		v.open(`{"FrameType":"DataSetCompletion","HasErrors":true,"Cancelled":%t,"OneApiErrors":%s}`, isCancelled, mustJSON(v.errors))
	} else {
		v.open(`{"FrameType":"DataSetCompletion","HasErrors":false,"Cancelled":%t}`, isCancelled)
	}
	v.end("")
	v.w.WriteByte(']')
	v.w.WriteByte('\n')
	return v.w.Flush()
}

type queryInfo struct {
	Count int
	Text  string
}

func (v *v2Writer) completionRow(level int, levelName string, status int, statusName string, event int, eventName string, payload []byte) {
	v.w.Write(mustJSON([]any{wire.Time(v.now()), v.act.ClientRequestID, v.act.ID, ids.NewGUID(), v.act.ID, level, levelName, status, statusName, event, eventName, string(payload)}))
}

// mustJSON marshals values of our own making.
func mustJSON(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("BUG: frame does not marshal: " + err.Error())
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}
