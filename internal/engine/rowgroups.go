package engine

import (
	"encoding/binary"
	"math"
)

// RowGroup is what the footer of a Parquet file says of some neighbouring rows.
type RowGroup struct {
	Rows    int64
	Columns []Bounds // of the columns that were asked for
}

// Bounds is what is known of a column's values in a row group.
type Bounds struct {
	// Min and Max are the values of two rows, when Known. A whole number is itself; of a
	// real number they are what [RealOrder] says.
	Min, Max int64
	Known    bool
	Nulls    int64 // -1 when that is not known
}

// RealOrder turns real numbers into whole ones that compare as they do. Both zeros are
// the same; it is not for what is not a number.
func RealOrder(x float64) int64 {
	if x == 0 {
		return 0
	}
	bits := int64(math.Float64bits(x))
	return bits ^ bits>>63&math.MaxInt64
}

// RowGroups reads what a Parquet footer says of columns of whole numbers of 32 or 64
// bits and of reals; of others nothing is known. It is nil when the footer cannot be
// read. DuckDB writes no bounds of reals among which one is not a number.
func RowGroups(footer []byte, columns ...string) (out []RowGroup) {
	t := &thrift{rest: footer}
	t.structure(func(field int16, kind byte) {
		if field != fileRowGroups || kind != thriftList {
			t.skip(kind, 0)
			return
		}
		elements, n := t.list()
		if elements != thriftStruct || n > mostRowGroups {
			t.fail()
		}
		for ; n > 0 && !t.bad; n-- {
			out = append(out, t.rowGroup(columns))
		}
	})
	if t.bad {
		return nil
	}
	return out
}

// mostRowGroups is of how many row groups a footer may tell: each takes more here than there.
const mostRowGroups = 1 << 16

// The numbers of the fields of Parquet's metadata that say what values there are.
const (
	rowGroupRows = 3

	metadataType       = 1
	metadataPath       = 3
	metadataStatistics = 12

	statisticsNulls = 3
	statisticsMax   = 5
	statisticsMin   = 6

	parquetInt32  = 1
	parquetInt64  = 2
	parquetDouble = 5
)

func (t *thrift) rowGroup(columns []string) RowGroup {
	g := RowGroup{Columns: make([]Bounds, len(columns))}
	for i := range g.Columns {
		g.Columns[i].Nulls = -1
	}
	t.structure(func(field int16, kind byte) {
		switch {
		case field == rowGroupRows && kind == thriftI64:
			g.Rows = t.zigzag()
		case field == rowGroupColumns && kind == thriftList:
			t.structures(func(field int16, kind byte) {
				if field != columnMetadata || kind != thriftStruct {
					t.skip(kind, 0)
					return
				}
				name, b := t.bounds()
				for i, c := range columns {
					if c == name && name != "" {
						g.Columns[i] = b
					}
				}
			})
		default:
			t.skip(kind, 0)
		}
	})
	return g
}

// bounds reads one column chunk's metadata: which column it is of, "" for one inside
// another, and what is known of it.
func (t *thrift) bounds() (name string, b Bounds) {
	b.Nulls = -1
	var physical int64
	var low, high []byte
	t.structure(func(field int16, kind byte) {
		switch {
		case field == metadataType && kind == thriftI32:
			physical = t.zigzag()
		case field == metadataPath && kind == thriftList:
			elements, n := t.list()
			if n == 1 && elements == thriftBinary {
				name = string(t.bytes())
				return
			}
			for ; n > 0 && !t.bad; n-- {
				t.element(elements, 0)
			}
		case field == metadataStatistics && kind == thriftStruct:
			t.structure(func(field int16, kind byte) {
				switch {
				case field == statisticsNulls && kind == thriftI64:
					b.Nulls = max(-1, t.zigzag())
				case field == statisticsMax && kind == thriftBinary:
					high = t.bytes()
				case field == statisticsMin && kind == thriftBinary:
					low = t.bytes()
				default:
					t.skip(kind, 0)
				}
			})
		default:
			t.skip(kind, 0)
		}
	})
	var okLow, okHigh bool
	b.Min, okLow = plainNumber(physical, low)
	b.Max, okHigh = plainNumber(physical, high)
	b.Known = okLow && okHigh && b.Min <= b.Max
	return name, b
}

// plainNumber is a number as Parquet writes it.
func plainNumber(physical int64, b []byte) (int64, bool) {
	switch {
	case physical == parquetInt32 && len(b) == 4:
		return int64(int32(binary.LittleEndian.Uint32(b))), true
	case physical == parquetInt64 && len(b) == 8:
		return int64(binary.LittleEndian.Uint64(b)), true
	case physical == parquetDouble && len(b) == 8:
		x := math.Float64frombits(binary.LittleEndian.Uint64(b))
		return RealOrder(x), !math.IsNaN(x)
	}
	return 0, false
}

// RowGroups is what the extent's footer says of columns; nil when that is not to be had.
func (s *Sparse) RowGroups(columns ...string) []RowGroup {
	s.guard.RLock()
	defer s.guard.RUnlock()
	if s.closed {
		return nil
	}
	tail := s.footer()
	defer clear(tail)
	begin, ok := footerBegin(tail, s.size)
	if begin -= s.size - int64(len(tail)); !ok || begin < 0 {
		return nil
	}
	return RowGroups(tail[begin:len(tail)-footerEnd], columns...)
}
