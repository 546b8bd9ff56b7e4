package ingest

import (
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/kustos-io/kustos/internal/catalog"
)

// maxCell is the longest string a cell keeps; Kusto truncates longer ones.
const maxCell = 1 << 20

// builder collects rows under a table's schema.
type builder struct {
	table   catalog.Table
	columns []array.Builder
	record  *array.RecordBuilder
	rows    int64
}

func newBuilder(t catalog.Table) *builder {
	rb := array.NewRecordBuilder(memory.DefaultAllocator, t.Schema())
	b := &builder{table: t, record: rb}
	for i := range t.Columns {
		b.columns = append(b.columns, rb.Field(i))
	}
	return b
}

// text appends a field of a text format to column i.
func (b *builder) text(i int, field string) {
	appendText(b.columns[i], b.table.Columns[i].Type, field)
}

// null appends a missing value: null, or the empty string.
func (b *builder) null(i int) {
	if s, ok := b.columns[i].(*array.StringBuilder); ok && b.table.Columns[i].Type == catalog.String {
		s.Append("")
		return
	}
	b.columns[i].AppendNull()
}

// batch ends the building and returns the rows.
func (b *builder) batch() arrow.RecordBatch {
	defer b.record.Release()
	return b.record.NewRecordBatch()
}

// appendText parses field as type t; what does not parse is null.
func appendText(dst array.Builder, t catalog.Type, field string) {
	switch dst := dst.(type) {
	case *array.StringBuilder:
		switch t {
		case catalog.String:
			dst.Append(clip(field))
		case catalog.Dynamic:
			if field == "" {
				dst.AppendNull()
			} else {
				dst.Append(dynamicText(field))
			}
		case catalog.GUID:
			if g, ok := parseGUID(field); ok {
				dst.Append(g)
			} else {
				dst.AppendNull()
			}
		}
	case *array.BooleanBuilder:
		if v, ok := parseBool(field); ok {
			dst.Append(v)
		} else {
			dst.AppendNull()
		}
	case *array.Int32Builder:
		if v, ok := parseInt(field, 32); ok {
			dst.Append(int32(v))
		} else {
			dst.AppendNull()
		}
	case *array.Int64Builder:
		if v, ok := parseTicksOrLong(t, field); ok {
			dst.Append(v)
		} else {
			dst.AppendNull()
		}
	case *array.Float64Builder:
		if v, ok := parseReal(field); ok {
			dst.Append(v)
		} else {
			dst.AppendNull()
		}
	case *array.Decimal128Builder:
		if v, ok := parseDecimal(field); ok {
			dst.Append(v)
		} else {
			dst.AppendNull()
		}
	default:
		panic("BUG: no builder for column type " + string(t))
	}
}

// clip makes s valid UTF-8 and cuts it at maxCell, on a character border.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= maxCell {
		return s
	}
	cut := maxCell
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
