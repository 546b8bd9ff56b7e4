package funcs

import (
	"fmt"
	"math"

	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

func conversionFunctions() []Scalar {
	to := func(name string, t types.Type) Scalar {
		return custom(name, First, "x", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			x, err := Convert(a[0], t)
			if err != nil {
				return nil, fmt.Errorf("%s(): %w", name, err)
			}
			return x, nil
		})
	}
	return []Scalar{
		to("tostring", types.String), to("toint", types.Int), to("tolong", types.Long), to("toreal", types.Real), to("todouble", types.Real),
		to("todecimal", types.Decimal), to("tobool", types.Bool), to("toboolean", types.Bool), to("todatetime", types.DateTime),
		to("totimespan", types.TimeSpan), to("totime", types.TimeSpan), to("toguid", types.GUID),
		custom("todynamic", First, "x", bindParseJSON), custom("parse_json", First, "x", bindParseJSON), custom("parsejson", First, "x", bindParseJSON),
		{Name: "gettype", Naming: PrefixAndFirst, Prefix: "type", Bind: func(_ Context, args []plan.Expr) (plan.Expr, error) {
			if len(args) != 1 {
				return nil, fmt.Errorf("gettype(): the function takes 1 argument")
			}
			return call("gettype", types.String, args[0]), nil
		}},
	}
}

func bindParseJSON(_ Context, a []plan.Expr) (plan.Expr, error) {
	switch a[0].Type() {
	case types.Dynamic:
		return a[0], nil
	case types.String:
		return call("parse_json", types.Dynamic, a[0]), nil
	}
	return ToDynamic(a[0]), nil
}

// convertible lists, per target, the source types whose conversion is defined here.
var convertible = map[types.Type][]types.Type{
	types.Bool:     {types.Int, types.Long, types.Real, types.String, types.Dynamic},
	types.Int:      {types.Bool, types.Long, types.Real, types.Decimal, types.String, types.Dynamic},
	types.Long:     {types.Bool, types.Int, types.Real, types.Decimal, types.String, types.Dynamic, types.DateTime, types.TimeSpan},
	types.Real:     {types.Bool, types.Int, types.Long, types.Decimal, types.String, types.Dynamic},
	types.Decimal:  {types.Int, types.Long, types.Real, types.String, types.Dynamic},
	types.DateTime: {types.String, types.Dynamic},
	types.TimeSpan: {types.String, types.Dynamic},
	types.GUID:     {types.String, types.Dynamic},
}

// Convert is the to…() conversion of x; a value that does not convert becomes null at run time.
func Convert(x plan.Expr, to types.Type) (plan.Expr, error) {
	from := x.Type()
	switch {
	case from == to:
		return x, nil
	case to == types.String:
		return ToText(x), nil
	case to == types.Dynamic:
		return ToDynamic(x), nil
	case isNull(x):
		return plan.Null(to), nil
	}
	ok := false
	for _, t := range convertible[to] {
		ok = ok || t == from
	}
	if !ok {
		return nil, fmt.Errorf("the conversion from %s to %s is not supported", from, to)
	}
	if l, isLit := x.(*plan.Lit); isLit && from.Integer() && to == types.Int {
		if l.Int < math.MinInt32 || l.Int > math.MaxInt32 {
			return plan.Null(to), nil
		}
		return &plan.Lit{Typ: to, Int: l.Int}, nil
	}
	if l, isLit := x.(*plan.Lit); isLit && from == types.String {
		switch to {
		case types.DateTime:
			if n, ok := types.ParseDateTime(l.Text); ok {
				return &plan.Lit{Typ: to, Int: n}, nil
			}
			return plan.Null(to), nil
		case types.TimeSpan:
			if n, ok := types.ParseTimeSpan(l.Text); ok {
				return &plan.Lit{Typ: to, Int: n}, nil
			}
			return plan.Null(to), nil
		}
	}
	return call("convert", to, x), nil
}
