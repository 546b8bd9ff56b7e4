package funcs

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

func dynamicFunctions() []Scalar {
	const d, l, b, s = types.Dynamic, types.Long, types.Bool, types.String
	pack := func(name string) Scalar {
		return Scalar{Name: name, Bind: func(_ Context, args []plan.Expr) (plan.Expr, error) {
			if len(args)%2 != 0 {
				return nil, fmt.Errorf("%s(): the function takes pairs of key and value", name)
			}
			return Bag(name, args)
		}}
	}
	return []Scalar{
		fn("array_length", Default, "d", l), op("arraylength", Default, "d", l, "array_length"),
		fn("bag_keys", Default, "d", d),
		fn("bag_merge", Default, "d d d*", d),
		pack("pack"), pack("bag_pack"), pack("pack_dictionary"),
		{Name: "pack_array", Bind: func(_ Context, args []plan.Expr) (plan.Expr, error) {
			in := make([]plan.Expr, len(args))
			for i, a := range args {
				in[i] = ToDynamic(a)
			}
			return call("pack_array", d, in...), nil
		}},
		fn("array_concat", Default, "d d*", d),
		fn("array_slice", Default, "d i i", d),
		fn("array_reverse", Default, "d", d),
		custom("array_sum", Default, "d", func(_ Context, a []plan.Expr) (plan.Expr, error) { return call("array_sum", types.Real, a...), nil }),
		custom("array_index_of", Default, "d x", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			return call("array_index_of", l, a[0], ToDynamic(a[1])), nil
		}),
		custom("set_has_element", Default, "d x", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			return call("set_has_element", b, a[0], ToDynamic(a[1])), nil
		}),
		fn("set_union", Default, "d d d*", d), fn("set_intersect", Default, "d d d*", d), fn("set_difference", Default, "d d d*", d),
		fn("strcat_array", Default, "d S", s), op("array_strcat", Default, "d S", s, "strcat_array"),
		fn("zip", Default, "d d", d),
		fn("bag_zip", Default, "d d", d),
		fn("array_iff", Default, "d d d", d), op("array_iif", Default, "d d d", d, "array_iff"),
		fn("array_rotate_left", Default, "d i", d), fn("array_rotate_right", Default, "d i", d),
		shift("array_shift_left"), shift("array_shift_right"),
		sorted("array_sort_asc"), sorted("array_sort_desc"),
		{Name: "unicode_codepoints_to_string", Bind: bindCodepoints},
		fn("base64_decode_toarray", Default, "s", d), fn("base64_encode_fromarray", Default, "d", s),
		custom("bag_has_key", Default, "d S", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			steps, err := jsonPath("bag_has_key", a[1].(*plan.Lit).Text)
			if err != nil {
				return nil, err
			}
			return call("isnotnull.key", b, append(a[:1:1], steps...)...), nil
		}),
		{Name: "extract_json", Bind: bindExtractJSON}, {Name: "extractjson", Bind: bindExtractJSON},
		custom("repeat", PrefixAndFirst, "x i", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			return call("repeat", d, ToDynamic(a[0]), a[1]), nil
		}),
		custom("range", Default, "x x x?", bindRange),
	}
}

// Bag makes a property bag from alternating keys and values. A null or repeated key is a matter of run time.
func Bag(name string, args []plan.Expr) (plan.Expr, error) {
	in := make([]plan.Expr, len(args))
	seen := map[string]bool{}
	for i, a := range args {
		if i%2 == 0 {
			if a.Type() != types.String {
				return nil, fmt.Errorf("%s(): the keys are expected to be string", name)
			}
			if k, ok := a.(*plan.Lit); ok {
				if seen[k.Text] {
					return nil, fmt.Errorf("%s(): the key is given twice", name)
				}
				seen[k.Text] = true
			}
			in[i] = a
			continue
		}
		in[i] = ToDynamic(a)
	}
	return call("bag_pack", types.Dynamic, in...), nil
}

func bindRange(_ Context, a []plan.Expr) (plan.Expr, error) {
	if len(a) == 2 {
		step := plan.Expr(plan.Long(1))
		if t := a[0].Type(); t == types.DateTime || t == types.TimeSpan {
			step = &plan.Lit{Typ: types.TimeSpan, Int: types.TicksPerHour}
		}
		a = append(a, step)
	}
	t := a[0].Type()
	switch {
	case t.Integer() && a[1].Type().Integer() && a[2].Type().Integer():
		for i := range a {
			a[i] = Cast(a[i], types.Long)
		}
	case (t == types.DateTime || t == types.TimeSpan) && a[1].Type() == t && a[2].Type() == types.TimeSpan:
	default:
		return nil, fmt.Errorf("range(): the argument types are not supported")
	}
	return call("range", types.Dynamic, a...), nil
}

func shift(name string) Scalar {
	return custom(name, Default, "d i x?", func(_ Context, a []plan.Expr) (plan.Expr, error) {
		fill := plan.Expr(plan.Null(types.Dynamic))
		if len(a) == 3 {
			fill = ToDynamic(a[2])
		}
		return call(name, types.Dynamic, a[0], a[1], fill), nil
	})
}

// sorted takes one array; several would give several columns.
func sorted(name string) Scalar {
	return custom(name, Default, "d b?", func(_ Context, a []plan.Expr) (plan.Expr, error) {
		if len(a) == 1 {
			a = append(a, plan.Bool(true))
		}
		if _, ok := a[1].(*plan.Lit); !ok {
			return nil, fmt.Errorf("%s(): argument 2 is expected to be a bool constant", name)
		}
		return call(name, types.Dynamic, a...), nil
	})
}

func bindCodepoints(_ Context, args []plan.Expr) (plan.Expr, error) {
	c := call("unicode_codepoints_to_string", types.String)
	for i, a := range args {
		switch t := a.Type(); {
		case t.Integer():
			c.Args = append(c.Args, call("pack_array", types.Dynamic, ToDynamic(a)))
		case t == types.Dynamic:
			c.Args = append(c.Args, a)
		default:
			return nil, fmt.Errorf("unicode_codepoints_to_string(): argument %d is expected to be an integer or an array and is %s", i+1, t)
		}
	}
	if len(args) == 0 {
		return nil, fmt.Errorf("unicode_codepoints_to_string(): the function takes at least one argument")
	}
	return c, nil
}

// jsonPath reads the simple paths: names and positions behind $; a text without $ is one name.
func jsonPath(name, path string) ([]plan.Expr, error) {
	if !strings.HasPrefix(path, "$") {
		return []plan.Expr{plan.Text(path)}, nil
	}
	var steps []plan.Expr
	for rest := path[1:]; rest != ""; {
		m := pathStep.FindStringSubmatch(rest)
		switch {
		case m == nil:
			return nil, fmt.Errorf("%s(): the path '%s' is not supported", name, path)
		case m[3] != "":
			n, err := strconv.ParseInt(m[3], 10, 32)
			if err != nil {
				return nil, fmt.Errorf("%s(): the path '%s' is not supported", name, path)
			}
			steps = append(steps, plan.Long(n))
		default:
			steps = append(steps, plan.Text(m[1]+m[2]))
		}
		rest = rest[len(m[0]):]
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("%s(): the path '%s' is not supported", name, path)
	}
	return steps, nil
}

var pathStep = regexp.MustCompile(`^(?:\.([A-Za-z_][A-Za-z0-9_]*)|\[['"]([^'"\]]+)['"]\]|\[([0-9]+)\])`)

func bindExtractJSON(_ Context, args []plan.Expr) (plan.Expr, error) {
	n := min(len(args), 2)
	a, err := coerceAll("extract_json", "S s", args[:n])
	if err != nil || len(args) > 3 {
		return nil, fmt.Errorf("extract_json(): the arguments are not supported")
	}
	steps, err := jsonPath("extract_json", a[0].(*plan.Lit).Text)
	if err != nil {
		return nil, err
	}
	x := plan.Expr(call("dynamic.path", types.Dynamic, append([]plan.Expr{call("parse_json", types.Dynamic, a[1])}, steps...)...))
	if len(args) == 3 {
		return Convert(x, args[2].Type())
	}
	return ToText(x), nil
}
