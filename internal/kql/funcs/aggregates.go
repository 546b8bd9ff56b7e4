package funcs

import (
	"fmt"

	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// Aggregate is an aggregate function with one result. Bind fills Func, Args, Filter, Typ and Number of the plan node.
// Its unnamed result is called Prefix_column, or the column itself when First is set.
type Aggregate struct {
	Name   string
	Prefix string
	First  bool
	Bind   func(args []plan.Expr) (plan.Agg, error)
}

// LookupAggregate finds an aggregate by its exact name.
func LookupAggregate(name string) (Aggregate, bool) {
	a, ok := aggregates[name]
	return a, ok
}

// AggregateNames lists the aggregates, unordered.
func AggregateNames() []string {
	out := make([]string, 0, len(aggregates))
	for n := range aggregates {
		out = append(out, n)
	}
	return out
}

var aggregates = aggregateTable()

// measure describes an aggregate over one expression, for both its plain and its conditional form.
type measure struct {
	name, prefix string
	first        bool
	// typ gives the result type, Invalid when the argument type is refused.
	typ func(types.Type) types.Type
	// size allows a trailing size or accuracy argument.
	size bool
	// conditional is the name of the form with a predicate, empty when there is none.
	conditional string
}

func aggregateTable() map[string]Aggregate {
	only := func(ok func(types.Type) bool, result types.Type) func(types.Type) types.Type {
		return func(t types.Type) types.Type {
			if ok(t) {
				return result
			}
			return types.Invalid
		}
	}
	number := func(t types.Type) bool { return t.Numeric() && t != types.Decimal }
	scalar := func(t types.Type) bool { return t != types.Dynamic }
	sum := func(t types.Type) types.Type {
		switch {
		case t.Integer():
			return types.Long
		case t.Summable():
			return t
		}
		return types.Invalid
	}
	avg := func(t types.Type) types.Type {
		switch {
		case number(t):
			return types.Real
		case t == types.TimeSpan || t == types.DateTime:
			return t
		}
		return types.Invalid
	}
	ordered := func(t types.Type) types.Type {
		if t.Ordered() && t != types.GUID {
			return t
		}
		return types.Invalid
	}
	same := func(t types.Type) types.Type { return t }
	integer := func(t types.Type) bool { return t.Integer() }
	list := func(types.Type) types.Type { return types.Dynamic }
	all := []measure{
		{name: "sum", typ: sum, conditional: "sumif"},
		{name: "avg", typ: avg, conditional: "avgif"},
		{name: "min", typ: ordered, conditional: "minif"},
		{name: "max", typ: ordered, conditional: "maxif"},
		{name: "dcount", typ: only(scalar, types.Long), size: true, conditional: "dcountif"},
		{name: "count_distinct", typ: only(scalar, types.Long), conditional: "count_distinctif"},
		{name: "make_list", prefix: "list", typ: list, size: true, conditional: "make_list_if"},
		{name: "make_set", prefix: "set", typ: list, size: true, conditional: "make_set_if"},
		{name: "makelist", prefix: "list", typ: list, size: true},
		{name: "makeset", prefix: "set", typ: list, size: true},
		{name: "make_list_with_nulls", prefix: "list", typ: list},
		{name: "stdev", typ: only(number, types.Real), conditional: "stdevif"},
		{name: "stdevp", typ: only(number, types.Real), conditional: "stdevpif"},
		{name: "variance", typ: only(number, types.Real), conditional: "varianceif"},
		{name: "variancep", typ: only(number, types.Real), conditional: "variancepif"},
		{name: "take_any", first: true, typ: same, conditional: "take_anyif"},
		{name: "any", prefix: "any", typ: same, conditional: "anyif"},
		{name: "binary_all_and", first: true, typ: only(integer, types.Long)},
		{name: "binary_all_or", first: true, typ: only(integer, types.Long)},
		{name: "binary_all_xor", first: true, typ: only(integer, types.Long)},
	}
	m := map[string]Aggregate{}
	for _, a := range all {
		m[a.name] = a.aggregate(a.name, false)
		if a.conditional != "" {
			m[a.conditional] = a.aggregate(a.conditional, true)
		}
	}
	for _, n := range []string{"covariance", "covariancep"} {
		m[n], m[n+"if"] = covariance(n, n, 2), covariance(n+"if", n, 3)
	}
	m["count"] = Aggregate{Name: "count", Prefix: "count", Bind: bindCount}
	m["countif"] = Aggregate{Name: "countif", Prefix: "countif", Bind: func(args []plan.Expr) (plan.Agg, error) {
		if len(args) != 1 || args[0].Type() != types.Bool {
			return plan.Agg{}, fmt.Errorf("countif(): the function takes one predicate")
		}
		return plan.Agg{Func: "count", Typ: types.Long, Filter: args[0]}, nil
	}}
	return m
}

func bindCount(args []plan.Expr) (plan.Agg, error) {
	switch len(args) {
	case 0:
		return plan.Agg{Func: "count", Typ: types.Long}, nil
	case 1:
		not, err := Not(call("isnull", types.Bool, args[0]))
		return plan.Agg{Func: "count", Typ: types.Long, Filter: not}, err
	}
	return plan.Agg{}, fmt.Errorf("count(): the function takes no argument")
}

func (m measure) aggregate(name string, conditional bool) Aggregate {
	prefix := m.prefix
	if prefix == "" {
		prefix = name
	}
	return Aggregate{Name: name, Prefix: prefix, First: m.first, Bind: func(args []plan.Expr) (plan.Agg, error) {
		want := 1
		if conditional {
			want = 2
		}
		if len(args) < want || len(args) > want+1 || len(args) == want+1 && !m.size {
			return plan.Agg{}, fmt.Errorf("%s(): the function does not take %d arguments", name, len(args))
		}
		a := plan.Agg{Func: m.canonical(), Typ: m.typ(args[0].Type()), Args: args[:1:1]}
		if a.Typ == types.Invalid {
			return a, fmt.Errorf("%s(): argument 1 is of type %s, which is not supported", name, args[0].Type())
		}
		if args[0].Type().Integer() && a.Typ == types.Long {
			a.Args[0] = Cast(args[0], types.Long)
		}
		if conditional {
			if args[1].Type() != types.Bool {
				return a, fmt.Errorf("%s(): argument 2 is expected to be bool and is %s", name, args[1].Type())
			}
			a.Filter = args[1]
		}
		if len(args) == want+1 {
			l, ok := args[want].(*plan.Lit)
			if !ok || !l.Typ.Integer() || l.Null || l.Int < 0 {
				return a, fmt.Errorf("%s(): the last argument is expected to be an integer constant", name)
			}
			if m.typ(types.String) == types.Dynamic {
				a.Number = float64(l.Int)
			}
		}
		return a, nil
	}}
}

// canonical folds the names of one computation.
func (m measure) canonical() string {
	switch m.name {
	case "makelist":
		return "make_list"
	case "makeset":
		return "make_set"
	case "any":
		return "take_any"
	case "dcount":
		return "count_distinct"
	}
	return m.name
}

// covariance is an aggregate over two expressions, with a predicate when it takes three arguments.
func covariance(name, f string, params int) Aggregate {
	return Aggregate{Name: name, Prefix: name, Bind: func(args []plan.Expr) (plan.Agg, error) {
		if len(args) != params {
			return plan.Agg{}, fmt.Errorf("%s(): the function does not take %d arguments", name, len(args))
		}
		in, err := coerceAll(name, "n n b?", args)
		if err != nil {
			return plan.Agg{}, err
		}
		a := plan.Agg{Func: f, Typ: types.Real, Args: in[:2]}
		if params == 3 {
			a.Filter = in[2]
		}
		return a, nil
	}}
}
