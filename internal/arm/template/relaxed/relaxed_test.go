package relaxed_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

func TestAccepts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"strict":             {`{"a":[1,2.50,"x",true,false,null,{}]}`, `{"a":[1,2.5,"x",true,false,null,{}]}`},
		"unquoted names":     {`{template:{$schema:"s",a_1:2}}`, `{"template":{"$schema":"s","a_1":2}}`},
		"single quotes":      {`{'a':'it\'s "x"'}`, `{"a":"it's \"x\""}`},
		"comments":           {"// head\n{/* a */\"a\"/**/:// b\n1 /* c */, }// tail", `{"a":1}`},
		"trailing commas":    {`{"a":[1,2,],}`, `{"a":[1,2]}`},
		"multi-line string":  {"{\"a\":\"x\r\n  y\"}", `{"a":"x\r\n  y"}`},
		"byte order mark":    {"\ufeff{}", `{}`},
		"last name wins":     {`{"a":1,"b":2,"a":3}`, `{"a":3,"b":2}`},
		"names keep case":    {`{"a":1,"A":2}`, `{"a":1,"A":2}`},
		"big integers":       {`[9223372036854775807,9223372036854775808,-123456789012345678901234567890]`, `[9223372036854775807,9223372036854775808,-123456789012345678901234567890]`},
		"hexadecimal, octal": {`[0x1F, 017, 0, -0]`, `[31,15,0,0]`},
		"floats":             {`[1e3, .5, -2E-2, 1.0]`, `[1000.0,0.5,-0.02,1.0]`},
		"escapes":            {`"\u0041\t\/\ud83d\ude00"`, `"A\t/😀"`},
		"odd blanks":         {"{\u00a0\"a\"\u2003:\t1}", `{"a":1}`},
		"undefined":          {`[undefined]`, `[null]`},
	} {
		n, err := relaxed.Parse([]byte(c.in))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.want, value.JSON(n.Value())); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		``:                       "Error reading JObject from JsonReader: the text is empty. Path '', line 1, position 0.",
		`{"a" 1}`:                "Invalid character after parsing property name. Expected ':' but got: 1. Path 'a', line 1, position 5.",
		"{\n  \"a\": [1 2]\n}":   "After parsing a value an unexpected character was encountered: 2. Path 'a[0]', line 2, position 10.",
		`{"a":"x`:                `Unterminated string. Expected delimiter: ". Path 'a', line 1, position 7.`,
		`{"a":`:                  "Unexpected end of content while loading JObject. Path 'a', line 1, position 5.",
		`[1,`:                    "Unexpected end of content while loading JArray. Path '', line 1, position 3.",
		`{"a":nope}`:             "Unexpected character encountered while parsing value: n. Path 'a', line 1, position 9.",
		`{} x`:                   "Additional text encountered after finished reading JSON content: x. Path '', line 1, position 3.",
		`{"a":{"b c":["\x"]}}`:   `Bad JSON escape sequence: \x. Path 'a['b c'][0]', line 1, position 16.`,
		`[1.2.3]`:                "Input string '1.2.3' is not a valid number. Path '[0]', line 1, position 6.",
		`/* x`:                   "Unexpected end while parsing comment. Path '', line 1, position 4.",
		`{-:1}`:                  "Invalid property identifier character: -. Path '', line 1, position 1.",
		`["\u12"]`:               `Invalid Unicode escape sequence: \u12"]. Path '[0]', line 1, position 4.`,
		strings.Repeat("[", 300): "The reader's MaxDepth of 256 has been exceeded. Path '" + strings.Repeat("[0]", 257) + "', line 1, position 257.",
	} {
		_, err := relaxed.Parse([]byte(in))
		if err == nil {
			t.Errorf("%.20q was accepted", in)
		} else if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("%.20q: %s", in, diff)
		}
	}
}

// Columns are those the service prints: an opening bracket's own, a scalar's
// last character; an emoji counts as two.
func TestPositions(t *testing.T) {
	t.Parallel()
	n, err := relaxed.Parse([]byte("{\"properties\": {template:{\r\n  \"a\": {\n    'é😀': \"x\",\r    \"b\": [ 12 ]\n/* \n */ } } } }"))
	if err != nil {
		t.Fatal(err)
	}
	a := n.Get("Properties").Get("template").Get("a")
	for name, c := range map[string]struct {
		n            *relaxed.Node
		line, column int
	}{
		"root": {n, 1, 1}, "template": {n.Get("properties").Get("template"), 1, 26}, "a": {a, 2, 8},
		"wide": {a.Get("é😀"), 3, 14}, "array": {a.Get("b"), 4, 10}, "item": {a.Get("b").Items[0], 4, 13},
	} {
		if c.n == nil || c.n.Line != c.line || c.n.Column != c.column {
			t.Errorf("%s: %+v, wanted %d:%d", name, c.n, c.line, c.column)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x",null,true]}`, `{a:'b',/*c*/}`, "{\"a\":\"x\ny\"}", `[0x1f,-1e9,.5]`, `{"\ud83d":1}`, "\ufeff//\r\n[]", `{"a":{"a":{}},}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := relaxed.Parse(data)
		if err != nil {
			return
		}
		text := value.JSON(n.Value())
		again, err := relaxed.Parse([]byte(text))
		if err != nil {
			t.Fatalf("%q printed as %q, which is refused: %v", data, text, err)
		}
		if got := value.JSON(again.Value()); got != text {
			t.Fatalf("%q printed as %q, then as %q", data, text, got)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	var s strings.Builder
	s.WriteString(`{"resources":[`)
	for range 800 {
		s.WriteString(`{"type":"Microsoft.Kusto/clusters","apiVersion":"2023-08-15","name":"[concat('a', copyIndex())]","location":"westeurope","properties":{"enableStreamingIngest":true}},`)
	}
	s.WriteString(`]}`)
	data := []byte(s.String())
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := relaxed.Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
