package funcs

import (
	"encoding/json"
	"fmt"

	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

func stringFunctions() []Scalar {
	const s, l, b, d = types.String, types.Long, types.Bool, types.Dynamic
	strcat := fn("strcat", Default, "a a*", s)
	return []Scalar{
		fn("strlen", NameAndFirst, "s", l),
		fn("string_size", NameAndFirst, "s", l),
		{Name: "strcat", Bind: func(ctx Context, args []plan.Expr) (plan.Expr, error) {
			if len(args) == 0 || len(args) > 64 {
				return nil, fmt.Errorf("strcat(): the function takes 1 to 64 arguments")
			}
			if len(args) == 1 {
				return ToText(args[0]), nil
			}
			return strcat.Bind(ctx, args)
		}},
		fn("strcat_delim", Default, "a a a*", s),
		fn("toupper", Default, "a", s),
		fn("tolower", Default, "a", s),
		fn("reverse", Default, "a", s),
		custom("substring", Default, "a i i?", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			if len(a) == 2 {
				return call("substring.from", s, a...), nil
			}
			return call("substring", s, a...), nil
		}),
		custom("split", First, "a s i?", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			if len(a) == 3 {
				return call("split.at", d, a...), nil
			}
			return call("split", d, a...), nil
		}),
		fn("replace_string", Default, "s s s", s),
		custom("replace_regex", Default, "s s s", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			return call("replace_regex", s, a...), constPattern("replace_regex", a[1])
		}),
		trim("trim"), trim("trim_start"), trim("trim_end"),
		custom("indexof", Default, "a a i? i? i?", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			defaults := []int64{0, 0, 0, -1, 1}
			for i := len(a); i < 5; i++ {
				a = append(a, plan.Long(defaults[i]))
			}
			if o, ok := a[4].(*plan.Lit); !ok || o.Int != 1 {
				return nil, fmt.Errorf("indexof(): an occurrence other than 1 is not supported")
			}
			return call("indexof", l, a[:4]...), nil
		}),
		custom("countof", Default, "s s S?", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			if len(a) == 3 {
				switch a[2].(*plan.Lit).Text {
				case "normal":
				case "regex":
					return call("countof.regex", l, a[:2]...), constPattern("countof", a[1])
				default:
					return nil, fmt.Errorf("countof(): the kind is normal or regex")
				}
			}
			return call("countof", l, a[:2]...), nil
		}),
		{Name: "extract", Bind: bindExtract},
		custom("extract_all", Default, "s s", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			if err := constPattern("extract_all", a[0]); err != nil {
				return nil, err
			}
			n := groups(a[0].(*plan.Lit).Text)
			if n == 0 {
				return nil, fmt.Errorf("extract_all(): the regular expression needs a capture group")
			}
			c := call("extract_all", d, a...)
			c.Number = int64(n)
			return c, nil
		}),
		fn("isempty", Default, "x", b),
		fn("isnotempty", Default, "x", b),
		op("notempty", Default, "x", b, "isnotempty"),
		fn("strcmp", Default, "s s", l),
		custom("strrep", Default, "a i S?", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			if len(a) == 2 {
				a = append(a, plan.Text(""))
			}
			return call("strrep", s, a...), nil
		}),
		custom("replace_strings", Default, "s d d", bindReplaceStrings),
		fn("base64_encode_fromguid", Default, "g", s), fn("base64_decode_toguid", Default, "s", types.GUID),
		fn("base64_encode_tostring", Default, "s", s),
		op("base64_encodestring", Default, "s", s, "base64_encode_tostring"),
		fn("base64_decode_tostring", Default, "s", s),
		op("base64_decodestring", Default, "s", s, "base64_decode_tostring"),
		fn("unicode_codepoints_from_string", Default, "a", d),
		op("to_utf8", Default, "a", d, "unicode_codepoints_from_string"),
		fn("regex_quote", Default, "a", s),
		fn("isascii", Default, "a", b),
		custom("tohex", First, "m i?", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			if !a[0].Type().Integer() {
				return nil, fmt.Errorf("tohex(): argument 1 is expected to be an integer and is %s", a[0].Type())
			}
			op := "tohex"
			if a[0].Type() == types.Int {
				op = "tohex.int"
			}
			if len(a) == 1 {
				a = append(a, plan.Long(0))
			}
			return call(op, s, a...), nil
		}),
	}
}

func trim(name string) Scalar {
	return custom(name, Default, "s s", func(_ Context, a []plan.Expr) (plan.Expr, error) {
		if err := constPattern(name, a[0]); err != nil {
			return nil, err
		}
		c := call(name, types.String, a[1])
		c.Text = a[0].(*plan.Lit).Text
		return c, nil
	})
}

func bindExtract(_ Context, args []plan.Expr) (plan.Expr, error) {
	n := min(len(args), 3)
	a, err := coerceAll("extract", "s I s", args[:n])
	if err != nil {
		return nil, err
	}
	if err := constPattern("extract", a[0]); err != nil {
		return nil, err
	}
	g := a[1].(*plan.Lit).Int
	if g < 0 || g > int64(groups(a[0].(*plan.Lit).Text)) {
		return nil, fmt.Errorf("extract(): the regular expression has no capture group %d", g)
	}
	c := call("extract", types.String, a[0], a[2])
	c.Number = g
	if len(args) == 4 {
		return Convert(c, args[3].Type())
	}
	return c, nil
}

// bindReplaceStrings takes constant arrays: each text is replaced in turn, and what was replaced is left alone by those
// that follow.
func bindReplaceStrings(_ Context, a []plan.Expr) (plan.Expr, error) {
	c := call("replace_strings", types.String, a[0])
	var lists [2][]string
	for i := range lists {
		l, ok := a[i+1].(*plan.Lit)
		if !ok || l.Null || json.Unmarshal([]byte(l.Text), &lists[i]) != nil {
			return nil, fmt.Errorf("replace_strings(): argument %d is expected to be a constant array of strings", i+2)
		}
	}
	if len(lists[0]) != len(lists[1]) || len(lists[0]) == 0 || len(lists[0]) > 32 {
		return nil, fmt.Errorf("replace_strings(): the arrays are expected to have the same length, at most 32")
	}
	for i := range lists[0] {
		if lists[0][i] == "" {
			return nil, fmt.Errorf("replace_strings(): an empty text cannot be replaced")
		}
		c.Args = append(c.Args, plan.Text(lists[0][i]), plan.Text(lists[1][i]))
	}
	return c, nil
}
