package kusto

import (
	"fmt"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/kustos-io/kustos/internal/kql/types"
)

// column is one result column on the wire.
type column struct {
	Name string
	Type types.Type
}

// cells encodes the columns of one record batch.
type cells struct {
	columns []column
	data    []arrow.Array
}

// newCells checks that the batch has the columns and physical types that the
// plan promised: a mismatch is a defect and must not become wrong values.
func newCells(columns []column, batch arrow.RecordBatch) (*cells, error) {
	if int(batch.NumCols()) != len(columns) {
		return nil, fmt.Errorf("result has %d columns, the plan %d", batch.NumCols(), len(columns))
	}
	c := &cells{columns: columns, data: batch.Columns()}
	for i, col := range columns {
		if !fits(col.Type, c.data[i]) {
			return nil, fmt.Errorf("result column %d is %s, which is not how a %s is stored", i, c.data[i].DataType(), col.Type)
		}
	}
	return c, nil
}

func fits(t types.Type, a arrow.Array) bool {
	switch a.(type) {
	case *array.Boolean:
		return t == types.Bool
	case *array.Int32:
		return t == types.Int
	case *array.Int64:
		return t == types.Long || t == types.DateTime || t == types.TimeSpan
	case *array.Float64:
		return t == types.Real
	case *array.Decimal128:
		return t == types.Decimal
	case *array.String, *array.LargeString:
		return t == types.String || t == types.Dynamic || t == types.GUID
	case *array.Null:
		return true
	}
	return false
}

// appendRow writes row i as a JSON array.
func (c *cells) appendRow(b []byte, i int) []byte {
	b = append(b, '[')
	for j, a := range c.data {
		if j > 0 {
			b = append(b, ',')
		}
		b = appendCell(b, c.columns[j].Type, a, i)
	}
	return append(b, ']')
}

func appendCell(b []byte, t types.Type, a arrow.Array, i int) []byte {
	if a.IsNull(i) {
		if t == types.String {
			return append(b, `""`...) // KQL strings have no null
		}
		return append(b, "null"...)
	}
	switch a := a.(type) {
	case *array.Boolean:
		if a.Value(i) {
			return append(b, "true"...)
		}
		return append(b, "false"...)
	case *array.Int32:
		return strconv.AppendInt(b, int64(a.Value(i)), 10)
	case *array.Int64:
		switch t {
		case types.DateTime:
			return appendDatetime(b, a.Value(i))
		case types.TimeSpan:
			return appendTimespan(b, a.Value(i))
		}
		return strconv.AppendInt(b, a.Value(i), 10)
	case *array.Float64:
		return appendReal(b, a.Value(i))
	case *array.Decimal128:
		// ValueStr would write small values with an exponent.
		return appendDecimal(b, a.Value(i).ToString(a.DataType().(*arrow.Decimal128Type).Scale))
	case *array.String:
		return appendText(b, t, a.Value(i))
	case *array.LargeString:
		return appendText(b, t, a.Value(i))
	}
	return append(b, "null"...)
}

func appendText(b []byte, t types.Type, s string) []byte {
	if t == types.Dynamic {
		return appendDynamic(b, s)
	}
	return appendString(b, s)
}
