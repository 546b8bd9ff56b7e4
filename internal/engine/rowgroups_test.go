package engine

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// told is one column of a row group in a footer.
type told struct {
	path      []string
	physical  int64
	low, high []byte
	nulls     int64
}

func number32(n int32) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }
func number64(n int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }
func real64(x float64) []byte { return binary.LittleEndian.AppendUint64(nil, math.Float64bits(x)) }

func (c *compact) binary(delta byte, b []byte) {
	c.out = append(binary.AppendUvarint(append(c.out, delta<<4|thriftBinary), uint64(len(b))), b...)
}

// statisticsOf is a footer with row groups of 10, 20, … rows.
func statisticsOf(groups ...[]told) []byte {
	c := &compact{}
	c.list(4, thriftStruct, len(groups))
	for i, g := range groups {
		c.list(1, thriftStruct, len(g))
		for _, s := range g {
			c.out = append(c.out, 3<<4|thriftStruct, 1<<4|thriftI32)
			c.zigzag(s.physical)
			c.list(2, thriftBinary, len(s.path))
			for _, p := range s.path {
				c.out = append(binary.AppendUvarint(c.out, uint64(len(p))), p...)
			}
			c.i64(4, 100)
			c.out = append(c.out, 5<<4|thriftStruct)
			at := byte(0)
			if s.nulls >= 0 {
				c.i64(statisticsNulls, s.nulls)
				at = statisticsNulls
			}
			if s.high != nil {
				c.binary(statisticsMax-at, s.high)
				at = statisticsMax
			}
			if s.low != nil {
				c.binary(statisticsMin-at, s.low)
			}
			c.out = append(c.out, thriftStop, thriftStop, thriftStop)
		}
		c.i64(2, int64(10*(i+1)))
		c.out = append(c.out, thriftStop)
	}
	return append(c.out, thriftStop)
}

func TestRowGroups(t *testing.T) {
	t.Parallel()
	plain := func(name string, physical int64, low, high []byte, nulls int64) told {
		return told{[]string{name}, physical, low, high, nulls}
	}
	footer := statisticsOf(
		[]told{plain("c1", parquetInt64, number64(-5), number64(7), 0), plain("c2", parquetInt32, number32(-1), number32(math.MaxInt32), 3), plain("c3", parquetDouble, real64(-0.5), real64(2), 0)},
		[]told{plain("c1", parquetInt64, nil, nil, 20), plain("c2", parquetInt32, number32(4), nil, 0), plain("c3", parquetDouble, real64(1), real64(math.NaN()), -1)},
		[]told{plain("c1", parquetInt64, number64(9), number64(8), 0), plain("c2", parquetInt32, number64(4), number64(5), 0), plain("c3", 6, real64(1), real64(2), 0)},
		[]told{{[]string{"c1", "element"}, parquetInt64, number64(1), number64(2), 0}},
	)
	known := func(low, high, nulls int64) Bounds {
		return Bounds{Min: low, Max: high, Known: true, Nulls: nulls}
	}
	got := RowGroups(footer, "c3", "c1", "c2", "c1")
	for i := range got {
		for j, b := range got[i].Columns {
			if !b.Known {
				got[i].Columns[j] = Bounds{Nulls: b.Nulls}
			}
		}
	}
	none := Bounds{Nulls: -1}
	want := []RowGroup{
		{10, []Bounds{known(RealOrder(-0.5), RealOrder(2), 0), known(-5, 7, 0), known(-1, math.MaxInt32, 3), known(-5, 7, 0)}},
		{20, []Bounds{none, {Nulls: 20}, {Nulls: 0}, {Nulls: 20}}},
		{30, []Bounds{{Nulls: 0}, {Nulls: 0}, {Nulls: 0}, {Nulls: 0}}},
		{40, []Bounds{none, none, none, none}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i := range footer {
		if got := RowGroups(footer[:i], "c1"); got != nil {
			t.Errorf("%d bytes of %d give %v", i, len(footer), got)
		}
	}
}

func TestRealOrder(t *testing.T) {
	t.Parallel()
	if RealOrder(math.Copysign(0, -1)) != RealOrder(0) {
		t.Error("two zeros")
	}
	for _, x := range []float64{math.Inf(-1), -math.MaxFloat64, -1, -math.SmallestNonzeroFloat64, 0, math.SmallestNonzeroFloat64, 1, math.MaxFloat64} {
		if next := math.Nextafter(x, math.Inf(1)); RealOrder(x) >= RealOrder(next) {
			t.Errorf("%v is not before %v", x, next)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		a, b := rapid.Float64().Draw(rt, "a"), rapid.Float64().Draw(rt, "b")
		if (a < b) != (RealOrder(a) < RealOrder(b)) || (a == b) != (RealOrder(a) == RealOrder(b)) {
			rt.Fatalf("%v and %v: %d and %d", a, b, RealOrder(a), RealOrder(b))
		}
	})
}

// The footer may be in the tail that was filled, in one that was not, or begin before it.
func TestRowGroupsOfASparse(t *testing.T) {
	t.Parallel()
	var many []told
	for range 2000 {
		many = append(many, told{[]string{"c1"}, parquetInt64, number64(1), number64(2), 0})
	}
	for name, footer := range map[string][]byte{"short": statisticsOf(many[:1]), "long": statisticsOf(many)} {
		for _, filled := range []bool{false, true} {
			payload := append(make([]byte, 300<<10), footer...)
			payload = append(binary.LittleEndian.AppendUint32(payload, uint32(len(footer))), "PAR1"...)
			s, err := NewSparse(bytesSource(payload))
			if err != nil {
				t.Fatal(err)
			}
			if filled {
				s.FillTail()
			}
			want := []RowGroup{{10, []Bounds{{Min: 1, Max: 2, Known: true}}}}
			if diff := cmp.Diff(want, s.RowGroups("c1")); diff != "" {
				t.Errorf("%s, filled %t (-want +got):\n%s", name, filled, diff)
			}
			s.Close()
			if got := s.RowGroups("c1"); got != nil {
				t.Errorf("%s, closed: %v", name, got)
			}
		}
	}
	s, err := NewSparse(bytesSource(make([]byte, 5000)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := s.RowGroups("c1"); got != nil {
		t.Errorf("no Parquet: %v", got)
	}
}

// Whatever a child wrote: no panic, no hang, and bounds that are in order.
func FuzzRowGroups(f *testing.F) {
	f.Add(statisticsOf([]told{{[]string{"c1"}, parquetInt64, number64(1), number64(2), 0}}))
	f.Add(footerOf([]chunkPlace{{4, 0, 100}, {150, 104, 400}}))
	f.Add([]byte{4<<4 | thriftList, 0xf0 | thriftStruct, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, footer []byte) {
		for _, g := range RowGroups(footer, "c1", "c2") {
			for _, b := range g.Columns {
				if b.Known && b.Min > b.Max || b.Nulls < -1 {
					t.Errorf("%+v", b)
				}
			}
		}
	})
}
