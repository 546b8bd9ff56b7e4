package kusto

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/kql/types"
)

func TestValues(t *testing.T) {
	t.Parallel()
	day := int64(24*time.Hour) / 100
	tests := []struct{ got, want string }{
		{string(appendDatetime(nil, 0)), `"0001-01-01T00:00:00Z"`},
		{string(appendDatetime(nil, maxTicks)), `"9999-12-31T23:59:59.9999999Z"`},
		{string(appendDatetime(nil, 1)), `"0001-01-01T00:00:00.0000001Z"`},
		{string(appendDatetime(nil, types.Ticks(time.Date(2014, 5, 25, 8, 20, 3, 123456700, time.UTC)))), `"2014-05-25T08:20:03.1234567Z"`},
		{string(appendDatetime(nil, types.Ticks(time.Date(2000, 2, 29, 0, 0, 0, 0, time.UTC)))), `"2000-02-29T00:00:00Z"`},
		{string(appendDatetime(nil, -1)), `null`},
		{string(appendDatetime(nil, maxTicks+1)), `null`},
		{string(appendDatetime(nil, math.MinInt64)), `null`},

		{string(appendTimespan(nil, 0)), `"00:00:00"`},
		{string(appendTimespan(nil, -ticksPerSecond)), `"-00:00:01"`},
		{string(appendTimespan(nil, day+2*36_000_000_000+3*600_000_000+45_000_000)), `"1.02:03:04.5000000"`},
		{string(appendTimespan(nil, -1)), `"-00:00:00.0000001"`},
		{string(appendTimespan(nil, math.MaxInt64)), `"10675199.02:48:05.4775807"`},
		{string(appendTimespan(nil, math.MinInt64)), `"-10675199.02:48:05.4775808"`},

		{string(appendReal(nil, 4)), `4.0`},
		{string(appendReal(nil, 0.1)), `0.1`},
		{string(appendReal(nil, 1e300)), `1e+300`},
		{string(appendReal(nil, math.SmallestNonzeroFloat64)), `5e-324`},
		{string(appendReal(nil, math.MaxFloat64)), `1.7976931348623157e+308`},
		{string(appendReal(nil, math.NaN())), `"NaN"`},
		{string(appendReal(nil, math.Inf(1))), `"Infinity"`},
		{string(appendReal(nil, math.Inf(-1))), `"-Infinity"`},

		{string(appendDecimal(nil, "2.00000000000001000")), `"2.00000000000001"`},
		{string(appendDecimal(nil, "100.000")), `"100"`},
		{string(appendDecimal(nil, "100")), `"100"`},
		{string(appendDecimal(nil, "-0.000")), `"0"`},

		{string(appendString(nil, "a\"\\\n\r\t\x00\x1f<>&é😀")), `"a\"\\\n\r\t\u0000\u001f<>&é😀"`},
		{string(appendString(nil, "a\xffb\xc3")), `"a` + "\ufffd" + `b` + "\ufffd" + `"`},

		{string(appendDynamic(nil, "")), `null`},
		{string(appendDynamic(nil, "null")), `null`},
		{string(appendDynamic(nil, "{\"a\" :\n [1,\r\n 2.50, \"x\\ny\"]}")), `{"a" :  [1,   2.50, "x\ny"]}`},
		{string(appendDynamic(nil, "not json\n")), `"not json\n"`},
		{string(appendDynamic(nil, `"text"`)), `"text"`},
		{string(appendDynamic(nil, "\"a\xffb\"")), `"a` + "\ufffd" + `b"`},
		{string(appendDynamic(nil, `9223372036854775807`)), `9223372036854775807`},
	}
	for _, tc := range tests {
		if tc.got != tc.want {
			t.Errorf("got %s, want %s", tc.got, tc.want)
		}
	}
}

// Every type in one row, at its extremes and as null.
func TestRowOfEveryType(t *testing.T) {
	t.Parallel()
	kinds := []catalog.Type{catalog.Bool, catalog.Int, catalog.Long, catalog.Real, catalog.Decimal, catalog.String, catalog.Datetime, catalog.Timespan, catalog.GUID, catalog.Dynamic}
	var stored []catalog.Column
	var result []column
	for i, k := range kinds {
		stored = append(stored, catalog.Column{ID: i + 1, Name: string(k), Type: k})
		result = append(result, column{string(k), kqlType(k)})
	}
	b := batch(t, stored, `[
		{"c1":true,"c2":-2147483648,"c3":-9223372036854775808,"c4":-1.5,"c5":"-99999999999999999999.999999999999999999","c6":"x","c7":0,"c8":-1,"c9":"6a1c0d6e-0000-4000-8000-000000000001","c10":"[1]"},
		{"c1":null,"c2":null,"c3":null,"c4":null,"c5":"-0.000000000000000001","c6":"","c7":null,"c8":null,"c9":null,"c10":null},
		{"c1":false,"c2":2147483647,"c3":9223372036854775807,"c4":0,"c5":"99999999999999999999.999999999999999999","c6":"","c7":3155378975999999999,"c8":864000000000,"c9":"00000000-0000-0000-0000-000000000000","c10":"{\"a\":1}"},
		{"c1":null,"c2":null,"c3":null,"c4":null,"c5":null,"c6":"","c7":null,"c8":null,"c9":null,"c10":null}]`)
	c, err := newCells(result, b)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`[true,-2147483648,-9223372036854775808,-1.5,"-99999999999999999999.999999999999999999","x","0001-01-01T00:00:00Z","-00:00:00.0000001","6a1c0d6e-0000-4000-8000-000000000001",[1]]`,
		`[null,null,null,null,"-0.000000000000000001","",null,null,null,null]`,
		`[false,2147483647,9223372036854775807,0.0,"99999999999999999999.999999999999999999","","9999-12-31T23:59:59.9999999Z","1.00:00:00","00000000-0000-0000-0000-000000000000",{"a":1}]`,
		`[null,null,null,null,null,"",null,null,null,null]`,
	}
	for i := range want {
		if got := string(c.appendRow(nil, i)); got != want[i] {
			t.Errorf("row %d:\n got %s\nwant %s", i, got, want[i])
		}
	}
}

// A result that is not shaped as the plan said must be an error, not wrong values.
func TestRowsThatDoNotFitThePlan(t *testing.T) {
	t.Parallel()
	b := batch(t, columnsOfT(), `[{"c1":1,"c2":"a"}]`)
	if _, err := newCells([]column{{"id", types.Long}}, b); err == nil {
		t.Error("a column too many was taken")
	}
	for _, wrong := range []types.Type{types.Bool, types.Int, types.Real, types.Decimal, types.String, types.GUID, types.Dynamic} {
		if _, err := newCells([]column{{"id", wrong}, {"name", types.String}}, b); err == nil {
			t.Errorf("a long was taken for a %s", wrong)
		}
	}
}

// What is written reads back as what was there.
func TestValuesReadBack(t *testing.T) {
	t.Parallel()
	text := func(t *rapid.T, b []byte) string {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		return s
	}
	t.Run("datetime", rapid.MakeCheck(func(t *rapid.T) {
		ticks := rapid.Int64Range(0, maxTicks).Draw(t, "ticks")
		at, err := time.Parse(time.RFC3339Nano, text(t, appendDatetime(nil, ticks)))
		if err != nil || types.Ticks(at) != ticks {
			t.Fatalf("%d: %v %v", ticks, at, err)
		}
	}))
	t.Run("timespan", rapid.MakeCheck(func(t *rapid.T) {
		ticks := rapid.Int64Range(-math.MaxInt64, math.MaxInt64).Draw(t, "ticks")
		if got, ok := types.ParseTimeSpan(text(t, appendTimespan(nil, ticks))); !ok || got != ticks {
			t.Fatalf("%d: %s is %d", ticks, appendTimespan(nil, ticks), got)
		}
	}))
	t.Run("real", rapid.MakeCheck(func(t *rapid.T) {
		v := rapid.Float64().Draw(t, "v")
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return
		}
		b := appendReal(nil, v)
		if got, err := strconv.ParseFloat(string(b), 64); err != nil || got != v || !json.Valid(b) {
			t.Fatalf("%v: %s", v, b)
		}
	}))
	t.Run("decimal", rapid.MakeCheck(func(t *rapid.T) {
		n := decimal128.New(rapid.Int64Range(-1<<61, 1<<61).Draw(t, "hi"), rapid.Uint64().Draw(t, "lo"))
		if !n.FitsInPrecision(38) {
			return
		}
		s := text(t, appendDecimal(nil, n.ToString(18)))
		if got, err := decimal128.FromString(s, 38, 18); err != nil || got != n {
			t.Fatalf("%s: %s, %v", n.ToString(18), s, err)
		}
	}))
	t.Run("string", rapid.MakeCheck(func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		got := text(t, appendString(nil, s))
		if !utf8.ValidString(got) || utf8.ValidString(s) && got != s || bytes.ContainsAny(appendString(nil, s), "\n\r") {
			t.Fatalf("%q: %q", s, got)
		}
	}))
}

func FuzzDynamic(f *testing.F) {
	for _, s := range []string{"", "null", "{\"a\":\n1}", "\"\xff\"", "[1e999]", "{\"a\":1}\r\n", "x", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := appendDynamic(nil, s)
		if !json.Valid(b) || !utf8.Valid(b) || bytes.ContainsAny(b, "\r\n") {
			t.Fatalf("%q: %q", s, b)
		}
		if json.Valid([]byte(s)) && utf8.ValidString(s) {
			var want, got bytes.Buffer
			_, _ = json.Compact(&want, []byte(s)), json.Compact(&got, b)
			if diff := cmp.Diff(want.String(), got.String()); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func FuzzString(f *testing.F) {
	f.Add("a\x00\xff\"\\")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil || got != strings.ToValidUTF8(got, "") {
			t.Fatalf("%q: %v", s, err)
		}
	})
}
