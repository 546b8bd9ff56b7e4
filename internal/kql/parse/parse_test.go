package parse_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/kql/parse"
)

// The texts of this table print back exactly as they stand.
var canonical = []string{
	"T | where a > 1 and not(b) or c in (\"x\", \"y\")",
	"T | project a, b = a * (2 + 3), d.k[0][\"z\"].w",
	"T | project-away a*, b | project-keep x | project-reorder a* asc, b desc | project-rename n = o",
	"T | extend x = iff(a == 1, timespan(01:00:00), timespan(1.00:00:00))",
	"T | summarize n = count(), arg_max(t, *) by s, bin(t, timespan(01:00:00))",
	"T | summarize by a",
	"T | sort by a desc nulls last, b asc nulls first",
	"T | top 5 by a desc nulls last",
	"T | take 10 | distinct a, b | count",
	"T | join kind=leftouter (U | where b) on a, $left.x == $right.y",
	"T | lookup (D) on k",
	"T | union kind=inner withsource=src isfuzzy=true A, (B | take 1), C*",
	"print x = 1, real(1.5), \"a\\nb\\\"\", dynamic([1,{\"a\":null}]), -a, long(-5)",
	"range i from 1 to 10 step 2",
	"datatable(a:long, [\"b c\"]:string)[1, \"x\", 2, \"y\"]",
	"let f = (x:long = 5, T:(a:int, *)) { let y = x; T | extend z = y };\nlet v = view () { T };\nf(1)",
	"set notruncation;\ndeclare query_parameters(a:long = 1, b:string);\nT",
	"T | mv-expand with_itemindex=i x = d.l to typeof(long), b limit 3",
	"T | parse-where kind=relaxed s with * \"id=\" id:long \",\" rest:string",
	"T | as X | getschema | consume",
	"T | sample-distinct 5 of a | top-hitters 3 of b by c",
	"T | serialize n = row_number() | render timechart with (title=\"t\", ycolumns=a,b)",
	"T | where a !between (1 .. 2) and s !has \"x\" and s matches regex \"a.b\"",
	"database(\"d\").T | invoke f(1)",
	"T | where [\"print\"] == guid(74be27de-1e4e-49d9-b579-fe0b331d3642) and t > datetime(2024-02-29T00:00:00.0000000Z)",
	"print h\"secret\", bool(null), int(7), decimal(1.5), real(nan), typeof(string)",
}

func TestPrintsBack(t *testing.T) {
	t.Parallel()
	for _, text := range canonical {
		s, err := parse.Script(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := s.String(); got != text {
			t.Errorf("got  %s\nwant %s", got, text)
		}
	}
}

func TestReads(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"T|filter a==0x1F":                                              "T | where a == 31",
		"T // comment\n| limit 5":                                       "T | take 5",
		"T | order by a":                                                "T | sort by a desc nulls last",
		"print 'a' \"b\" @'c\\'":                                        `print "abc\\"`,
		"print ```x\ny```":                                              `print "x\ny"`,
		"print 1.5h, 2d, 3ms, 7tick":                                    "print timespan(01:30:00), timespan(2.00:00:00), timespan(00:00:00.0030000), timespan(00:00:00.0000007)",
		"print datetime(2 Dec 2022), datetime(null)":                    "print datetime(2022-12-02T00:00:00.0000000Z), datetime(null)",
		"print datetime(12-02-2022), datetime(13-01-2022)":              "print datetime(2022-12-02T00:00:00.0000000Z), datetime(null)",
		"print dynamic({'a': datetime(2024-01-01), b: 1d, 'c': [1.0]})": `print dynamic({"a":"2024-01-01T00:00:00.0000000Z","b":"1.00:00:00","c":[1.0]})`,
		"T | join hint.strategy=shuffle U on a":                         "T | join (U) on a",
		"T | where a <> 1":                                              "T | where a != 1",
		"print \"\\ud83d\\ude00\"":                                      `print "😀"`,
	} {
		s, err := parse.Script(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := s.String(); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"T |":                                      "expected a tabular operator",
		"T | where":                                "expected an expression",
		"T | project a b":                          "the end of operator",
		"T | sort a":                               "expected 'by'",
		"T | frob":                                 "operator 'frob' is not known",
		"T | evaluate bag_unpack(d)":               "operator 'evaluate' is not supported",
		"print \"abc":                              "not closed",
		"print 99999999999999999999":               "out of the range of long",
		"print 5parsecs":                           "neither a number nor a timespan",
		"print int(3000000000)":                    "no int literal",
		"print datetime(soon)":                     "no datetime literal",
		"print guid(1)":                            "no guid literal",
		"print dynamic({\"a\":})":                  "not valid",
		"print dynamic({\"a\":1,'a':2})":           "property twice",
		"datatable(a:long, b:long)[1]":             "no multiple",
		"T | summarize":                            "expected an aggregate",
		"T | join U":                               "expected 'on'",
		"alias database d = cluster('c')":          "'alias' is not supported",
		"T | where a ~ 1":                          "the end of operator",
		"print 1 \x01":                             "not understood",
		"T | where a !likes 'x'":                   "'!likes' is not known",
		"let x = ;":                                "expected an expression",
		"print " + strings.Repeat("(", 5000) + "1": "nested too deeply",
		"print 1" + strings.Repeat("+1", 5000):     "too long",
	} {
		_, err := parse.Script(text)
		var e *parse.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, want) {
			t.Errorf("%.60s: want %q, got %v", text, want, err)
		} else if e.Pos < 0 || e.Pos > len(text) {
			t.Errorf("%.60s: offset %d", text, e.Pos)
		}
	}
}

// expr draws expression text with its own parentheses.
func expr(depth int) *rapid.Generator[string] {
	leaf := rapid.SampledFrom([]string{"a", "['b c']", "1", "2.5", "'x'", "@\"y\\\"", "true", "1h", "datetime(2024-01-01)", "dynamic([1,'a'])", "int(null)", "d.x", "d[0]", "0x10"})
	if depth == 0 {
		return leaf
	}
	return rapid.Custom(func(t *rapid.T) string {
		x := expr(depth - 1)
		switch rapid.IntRange(0, 6).Draw(t, "kind") {
		case 0:
			return x.Draw(t, "l") + rapid.SampledFrom([]string{"+", " - ", "*", "/", "%", " and ", " or ", "==", "!=", " has ", " !contains_cs ", "<", ">="}).Draw(t, "op") + x.Draw(t, "r")
		case 1:
			return "(" + x.Draw(t, "x") + ")"
		case 2:
			return "f(" + x.Draw(t, "a") + "," + x.Draw(t, "b") + ")"
		case 3:
			return "-" + x.Draw(t, "x")
		case 4:
			return x.Draw(t, "x") + " in~ (" + x.Draw(t, "a") + ", " + x.Draw(t, "b") + ")"
		case 5:
			return x.Draw(t, "x") + " between (" + x.Draw(t, "a") + " .. " + x.Draw(t, "b") + ")"
		}
		return leaf.Draw(t, "leaf")
	})
}

// What prints back parses to what prints the same.
func TestPrintIsStable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := "T | extend x = " + expr(3).Draw(t, "x") + " | where " + expr(2).Draw(t, "p")
		s, err := parse.Script(text)
		if err != nil {
			t.Skip()
		}
		once := s.String()
		again, err := parse.Script(once)
		if err != nil {
			t.Fatalf("%s\nprints as\n%s\nwhich does not parse: %v", text, once, err)
		}
		if twice := again.String(); twice != once {
			t.Fatalf("%s\nprints as\n%s\nand then as\n%s", text, once, twice)
		}
	})
}

func FuzzScript(f *testing.F) {
	for _, text := range canonical {
		f.Add(text)
	}
	f.Add("print dynamic(['a', {\"b\": dynamic([1d, -2s])}])")
	f.Add("T | where s has @'\\' // x")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parse.Script(text)
		if err != nil {
			var e *parse.Error
			if !errors.As(err, &e) || e.Pos < 0 || e.Pos > len(text) {
				t.Fatalf("error %v", err)
			}
			return
		}
		once := s.String()
		again, err := parse.Script(once)
		if err != nil {
			t.Fatalf("%q prints as %q, which does not parse: %v", text, once, err)
		}
		if twice := again.String(); twice != once {
			t.Fatalf("%q prints as %q and then as %q", text, once, twice)
		}
	})
}
