package funcs

import (
	"fmt"

	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

func conditionalFunctions() []Scalar {
	const b = types.Bool
	iff := func(name string) Scalar {
		return Scalar{Name: name, Bind: func(_ Context, args []plan.Expr) (plan.Expr, error) {
			if len(args) != 3 {
				return nil, fmt.Errorf("%s(): the function takes 3 arguments", name)
			}
			return choose(name, args)
		}}
	}
	return []Scalar{
		iff("iff"), iff("iif"),
		{Name: "case", Bind: func(_ Context, args []plan.Expr) (plan.Expr, error) {
			if len(args) < 3 || len(args)%2 == 0 {
				return nil, fmt.Errorf("case(): the function takes pairs of predicate and value, and a last value")
			}
			return choose("case", args)
		}},
		{Name: "not", Bind: func(_ Context, args []plan.Expr) (plan.Expr, error) {
			if len(args) != 1 {
				return nil, fmt.Errorf("not(): the function takes 1 argument")
			}
			return Not(args[0])
		}},
		fn("isnull", Default, "x", b), fn("isnotnull", Default, "x", b), op("notnull", Default, "x", b, "isnotnull"),
		{Name: "coalesce", Bind: func(_ Context, args []plan.Expr) (plan.Expr, error) {
			if len(args) < 2 || len(args) > 64 {
				return nil, fmt.Errorf("coalesce(): the function takes 2 to 64 arguments")
			}
			in, t, err := Unify("coalesce()", args)
			if err != nil {
				return nil, err
			}
			return call("coalesce", t, in...), nil
		}},
		custom("around", Default, "x x x", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			lo, err := Arithmetic("-", a[1], a[2])
			if err != nil {
				return nil, err
			}
			hi, err := Arithmetic("+", a[1], a[2])
			if err != nil {
				return nil, err
			}
			return Between(a[0], lo, hi)
		}),
		custom("new_guid", Default, "", func(Context, []plan.Expr) (plan.Expr, error) { return call("new_guid", types.GUID), nil }),
		custom("current_database", Default, "", func(ctx Context, _ []plan.Expr) (plan.Expr, error) { return plan.Text(ctx.Database), nil }),
	}
}

// choose types iff and case: predicates alternate with values, the last value is the default.
func choose(name string, args []plan.Expr) (plan.Expr, error) {
	var values []plan.Expr
	for i := 0; i < len(args)-1; i += 2 {
		if t := args[i].Type(); t != types.Bool {
			return nil, fmt.Errorf("%s(): argument %d is expected to be bool and is %s", name, i+1, t)
		}
		values = append(values, args[i+1])
	}
	values, t, err := Unify(name+"()", append(values, args[len(args)-1]))
	if err != nil {
		return nil, err
	}
	c := call("case", t)
	for i, v := range values[:len(values)-1] {
		c.Args = append(c.Args, args[2*i], v)
	}
	c.Args = append(c.Args, values[len(values)-1])
	return c, nil
}

// Between is lo <= x and x <= hi.
func Between(x, lo, hi plan.Expr) (plan.Expr, error) {
	a, err := Compare(">=", x, lo)
	if err != nil {
		return nil, err
	}
	b, err := Compare("<=", x, hi)
	if err != nil {
		return nil, err
	}
	return And(a, b)
}
