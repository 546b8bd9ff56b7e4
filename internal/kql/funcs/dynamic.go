package funcs

import (
	"fmt"

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
