package funcs

import (
	"fmt"
	"math"

	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

func mathFunctions() []Scalar {
	const r, l, b = types.Real, types.Long, types.Bool
	list := []Scalar{
		{Name: "bin", Naming: First, Bind: bindBin("bin")},
		{Name: "floor", Naming: First, Bind: bindFloor},
		custom("bin_at", First, "x x x", bindBinAt),
		custom("abs", First, "x", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			t := a[0].Type()
			if t == types.Int {
				t = l
			}
			if !t.Summable() {
				return nil, fmt.Errorf("abs(): argument 1 is expected to be a number and is %s", t)
			}
			return call("abs", t, castNumber(a[0], t)), nil
		}),
		custom("ceiling", First, "m", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			if t := a[0].Type(); t.Integer() {
				return a[0], nil
			} else if t == types.Decimal {
				return nil, fmt.Errorf("ceiling(): decimal is not supported")
			}
			return call("ceiling", r, a[0]), nil
		}),
		custom("round", First, "m I?", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			if t := a[0].Type(); t == types.Decimal || t.Integer() && len(a) == 2 {
				return nil, fmt.Errorf("round(): the argument types are not supported")
			} else if t.Integer() {
				return a[0], nil
			}
			if len(a) == 1 {
				a = append(a, plan.Long(0))
			}
			return call("round", r, a...), nil
		}),
		fn("pow", First, "n n", r), fn("atan2", Default, "n n", r), fn("gamma", First, "n", r), fn("loggamma", First, "n", r),
		fn("sign", Default, "n", r), fn("cot", Default, "n", r), fn("degrees", Default, "n", r), fn("radians", Default, "n", r),
		fn("isnan", Default, "n", b), fn("isinf", Default, "n", b), fn("isfinite", Default, "n", b),
		custom("pi", Default, "", func(Context, []plan.Expr) (plan.Expr, error) { return plan.Real(math.Pi), nil }),
		{Name: "rand", Naming: First, Bind: bindRand},
		{Name: "max_of", Bind: bindExtreme("max_of")},
		{Name: "min_of", Bind: bindExtreme("min_of")},
		fn("binary_and", First, "i i", l), fn("binary_or", First, "i i", l), fn("binary_xor", First, "i i", l), fn("binary_not", First, "i", l),
		fn("binary_shift_left", First, "i i", l), fn("binary_shift_right", First, "i i", l), fn("bitset_count_ones", First, "i", l),
	}
	for _, n := range []string{"sqrt", "exp", "exp2", "exp10", "log", "log2", "log10", "sin", "cos", "tan", "asin", "acos", "atan"} {
		list = append(list, fn(n, First, "n", r))
	}
	return list
}

func castNumber(x plan.Expr, t types.Type) plan.Expr {
	if x.Type().Numeric() {
		return Cast(x, t)
	}
	return x
}

func bindRand(_ Context, args []plan.Expr) (plan.Expr, error) {
	switch len(args) {
	case 0:
		return call("rand", types.Real), nil
	case 1:
		if args[0].Type().Integer() {
			return call("rand.below", types.Real, Cast(args[0], types.Long)), nil
		}
	}
	return nil, fmt.Errorf("rand(): the arguments are not supported")
}

func bindExtreme(name string) func(Context, []plan.Expr) (plan.Expr, error) {
	return func(_ Context, args []plan.Expr) (plan.Expr, error) {
		if len(args) < 2 || len(args) > 64 {
			return nil, fmt.Errorf("%s(): the function takes 2 to 64 arguments", name)
		}
		in, t, err := Unify(name+"()", args)
		if err != nil {
			return nil, err
		}
		if !t.Ordered() || t == types.String || t == types.GUID {
			return nil, fmt.Errorf("%s(): the type %s is not supported", name, t)
		}
		return call(name, t, in...), nil
	}
}

func bindFloor(ctx Context, args []plan.Expr) (plan.Expr, error) {
	if len(args) == 1 {
		switch t := args[0].Type(); {
		case t.Integer():
			return args[0], nil
		case t == types.Real:
			return call("floor", t, args[0]), nil
		}
		return nil, fmt.Errorf("floor(): the type %s is not supported", args[0].Type())
	}
	return bindBin("floor")(ctx, args)
}

func bindBin(name string) func(Context, []plan.Expr) (plan.Expr, error) {
	return func(_ Context, args []plan.Expr) (plan.Expr, error) {
		if len(args) != 2 {
			return nil, fmt.Errorf("%s(): the function takes 2 arguments", name)
		}
		x, n, t, err := binTypes(name, args[0], args[1])
		if err != nil {
			return nil, err
		}
		return call("bin", t, x, n), nil
	}
}

func binTypes(name string, x, n plan.Expr) (plan.Expr, plan.Expr, types.Type, error) {
	xt, nt := x.Type(), n.Type()
	switch {
	case xt.Numeric() && nt.Numeric():
		if t := types.Widest(xt, nt); t != types.Decimal && t != types.Invalid {
			return Cast(x, t), Cast(n, t), t, nil
		}
	case (xt == types.DateTime || xt == types.TimeSpan) && nt == types.TimeSpan:
		return x, n, xt, nil
	}
	return nil, nil, 0, fmt.Errorf("%s(): the argument types %s and %s are not supported", name, xt, nt)
}

func bindBinAt(_ Context, a []plan.Expr) (plan.Expr, error) {
	x, n, t, err := binTypes("bin_at", a[0], a[1])
	if err != nil {
		return nil, err
	}
	f := a[2]
	switch {
	case f.Type() == t:
	case f.Type().Numeric() && t.Numeric() && types.Widest(t, f.Type()) == t:
		f = Cast(f, t)
	default:
		return nil, fmt.Errorf("bin_at(): the fixed point is expected to be %s and is %s", t, f.Type())
	}
	return call("bin_at", t, x, n, f), nil
}
