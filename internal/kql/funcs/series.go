package funcs

import (
	"fmt"

	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// seriesFunctions work on arrays of numbers, item by item. Items that are no numbers count as null, and so does what an
// array lacks beside a longer one.
func seriesFunctions() []Scalar {
	var list []Scalar
	for _, n := range []string{"add", "subtract", "multiply", "divide", "pow", "equals", "not_equals", "greater", "greater_equals", "less", "less_equals"} {
		list = append(list, series2("series_"+n, types.Dynamic))
	}
	list = append(list, series2("series_dot_product", types.Real))
	for _, n := range []string{"exp", "log", "sin", "cos", "tan", "asin", "acos", "atan", "sign"} {
		list = append(list, fn("series_"+n, Default, "d", types.Dynamic))
	}
	for _, n := range []string{"sum", "product", "magnitude"} {
		list = append(list, fn("series_"+n, Default, "d", types.Real))
	}
	return list
}

// series2 takes an array and an array or a number, which stands for an array of it.
func series2(name string, result types.Type) Scalar {
	return custom(name, Default, "x x", func(_ Context, a []plan.Expr) (plan.Expr, error) {
		numbers := 0
		for i, x := range a {
			switch t := x.Type(); {
			case t == types.Dynamic:
			case t.Numeric() && t != types.Decimal:
				numbers++
				a[i] = call("series.constant", types.Dynamic, Cast(x, types.Real), a[1-i])
			default:
				return nil, fmt.Errorf("%s(): argument %d is expected to be dynamic and is %s", name, i+1, t)
			}
		}
		if numbers == 2 {
			return nil, fmt.Errorf("%s(): one of the arguments is expected to be dynamic", name)
		}
		return call(name, result, a...), nil
	})
}
