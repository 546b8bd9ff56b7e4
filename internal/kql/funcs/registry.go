package funcs

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// Naming says how an unnamed column that holds a call is called.
type Naming uint8

// The naming rules. Default leaves the name to the operator (Column1, print_0).
const (
	Default        Naming = iota
	First                 // the name of the first argument, when it has one
	NameAndFirst          // function_argument
	PrefixAndFirst        // prefix_argument
)

// Context is what a function may know besides its arguments.
type Context struct {
	// Now is the query's fixed time in ticks.
	Now      int64
	Database string
}

// Scalar is a scalar function.
type Scalar struct {
	Name   string
	Naming Naming
	Prefix string
	Bind   func(ctx Context, args []plan.Expr) (plan.Expr, error)
}

// Lookup finds a scalar function by its exact name.
func Lookup(name string) (Scalar, bool) {
	s, ok := scalars[name]
	return s, ok
}

// Names lists the scalar functions, unordered.
func Names() []string {
	out := make([]string, 0, len(scalars))
	for n := range scalars {
		out = append(out, n)
	}
	return out
}

var scalars = merge(stringFunctions(), mathFunctions(), timeFunctions(), conversionFunctions(), dynamicFunctions(), conditionalFunctions(), hashFunctions(), seriesFunctions(), ipv4Functions())

func merge(lists ...[]Scalar) map[string]Scalar {
	m := map[string]Scalar{}
	for _, l := range lists {
		for _, s := range l {
			if _, twice := m[s.Name]; twice {
				panic("BUG: the function " + s.Name + " is registered twice")
			}
			m[s.Name] = s
		}
	}
	return m
}

// fn makes a function whose plan operation has the function's own name. params is a blank-separated list of parameter
// codes (see coerce); a trailing ? makes one optional, a trailing * lets the last one repeat.
func fn(name string, naming Naming, params string, result types.Type) Scalar {
	return op(name, naming, params, result, name)
}

// op is fn with another plan operation.
func op(name string, naming Naming, params string, result types.Type, operation string) Scalar {
	return Scalar{Name: name, Naming: naming, Bind: func(_ Context, args []plan.Expr) (plan.Expr, error) {
		in, err := coerceAll(name, params, args)
		if err != nil {
			return nil, err
		}
		return &plan.Call{Op: operation, Args: in, Typ: result}, nil
	}}
}

// custom makes a function with its own binding over coerced arguments.
func custom(name string, naming Naming, params string, bind func(ctx Context, args []plan.Expr) (plan.Expr, error)) Scalar {
	return Scalar{Name: name, Naming: naming, Bind: func(ctx Context, args []plan.Expr) (plan.Expr, error) {
		in, err := coerceAll(name, params, args)
		if err != nil {
			return nil, err
		}
		return bind(ctx, in)
	}}
}

func coerceAll(name, params string, args []plan.Expr) ([]plan.Expr, error) {
	codes := strings.Fields(params)
	required, repeat := 0, false
	for _, c := range codes {
		if !strings.HasSuffix(c, "?") && !strings.HasSuffix(c, "*") {
			required++
		}
		repeat = repeat || strings.HasSuffix(c, "*")
	}
	if len(args) < required || len(args) > len(codes) && !repeat {
		return nil, fmt.Errorf("%s(): the function does not take %d arguments", name, len(args))
	}
	out := make([]plan.Expr, len(args))
	for i, a := range args {
		code := codes[min(i, len(codes)-1)]
		x, err := coerce(code[0], a)
		if err != nil {
			return nil, fmt.Errorf("%s(): argument %d %w", name, i+1, err)
		}
		out[i] = x
	}
	return out, nil
}

// coerce turns an argument into what a parameter code asks for:
// s string (or dynamic, as its text), a any scalar as its text, i integer as long, n number as real, m number as it is,
// b bool, d dynamic, t datetime, p timespan, g guid, x anything, S string constant, I integer constant.
func coerce(code byte, x plan.Expr) (plan.Expr, error) {
	t := x.Type()
	bad := func(want string) (plan.Expr, error) {
		return nil, fmt.Errorf("is expected to be %s and is %s", want, t)
	}
	switch code {
	case 's':
		if t == types.String {
			return x, nil
		}
		if t == types.Dynamic {
			return ToText(x), nil
		}
		return bad("string")
	case 'a':
		return ToText(x), nil
	case 'i':
		if t.Integer() {
			return Cast(x, types.Long), nil
		}
		return bad("an integer")
	case 'n':
		if t.Numeric() && t != types.Decimal {
			return Cast(x, types.Real), nil
		}
		return bad("a number")
	case 'm':
		if t.Numeric() {
			return x, nil
		}
		return bad("a number")
	case 'x':
		return x, nil
	case 'S':
		if l, ok := x.(*plan.Lit); ok && t == types.String {
			return l, nil
		}
		return bad("a string constant")
	case 'I':
		if l, ok := x.(*plan.Lit); ok && t.Integer() && !l.Null {
			return l, nil
		}
		return bad("an integer constant")
	}
	want := map[byte]types.Type{'b': types.Bool, 'd': types.Dynamic, 't': types.DateTime, 'p': types.TimeSpan, 'g': types.GUID}[code]
	if t == want {
		return x, nil
	}
	if l, ok := x.(*plan.Lit); ok && l.Typ == types.Dynamic && l.Null {
		return plan.Null(want), nil
	}
	return bad(want.String())
}

// Cast widens a number, folding constants. Other pairs of types are a broken invariant.
func Cast(x plan.Expr, to types.Type) plan.Expr {
	from := x.Type()
	if from == to {
		return x
	}
	if l, ok := x.(*plan.Lit); ok {
		switch {
		case l.Null:
			return plan.Null(to)
		case from.Integer() && to == types.Long:
			return plan.Long(l.Int)
		case from.Integer() && to == types.Real:
			return plan.Real(float64(l.Int))
		case from.Integer() && to == types.Decimal:
			return &plan.Lit{Typ: to, Text: strconv.FormatInt(l.Int, 10)}
		}
	}
	return &plan.Call{Op: "cast", Args: []plan.Expr{x}, Typ: to}
}

// ToText is tostring(x).
func ToText(x plan.Expr) plan.Expr {
	if x.Type() == types.String {
		return x
	}
	return &plan.Call{Op: "tostring", Args: []plan.Expr{x}, Typ: types.String}
}

// ToDynamic is the dynamic form of a value of any type.
func ToDynamic(x plan.Expr) plan.Expr {
	if x.Type() == types.Dynamic {
		return x
	}
	return &plan.Call{Op: "todynamic", Args: []plan.Expr{x}, Typ: types.Dynamic}
}

func isNull(x plan.Expr) bool {
	l, ok := x.(*plan.Lit)
	return ok && l.Null
}

// Unify brings expressions to their common type: numbers to the widest, nulls of dynamic to whatever the others are.
func Unify(what string, xs []plan.Expr) ([]plan.Expr, types.Type, error) {
	xs = exact(xs)
	t := types.Invalid
	for _, x := range xs {
		xt := x.Type()
		switch {
		case isNull(x) && xt == types.Dynamic:
		case t == types.Invalid || t == xt:
			t = xt
		default:
			w := types.Widest(t, xt)
			if w == types.Invalid {
				return nil, w, fmt.Errorf("%s: the types %s and %s have no common type", what, t, xt)
			}
			t = w
		}
	}
	if t == types.Invalid {
		t = types.Dynamic
	}
	out := make([]plan.Expr, len(xs))
	for i, x := range xs {
		switch {
		case x.Type() == t:
			out[i] = x
		case isNull(x):
			out[i] = plan.Null(t)
		default:
			out[i] = Cast(x, t)
		}
	}
	return out, t, nil
}

func call(op string, t types.Type, args ...plan.Expr) *plan.Call {
	return &plan.Call{Op: op, Args: args, Typ: t}
}

// exact turns real constants beside decimals into the decimals they are written as.
func exact(xs []plan.Expr) []plan.Expr {
	decimal := false
	for _, x := range xs {
		decimal = decimal || x.Type() == types.Decimal
	}
	if !decimal {
		return xs
	}
	out := append([]plan.Expr(nil), xs...)
	for i, x := range out {
		l, ok := x.(*plan.Lit)
		if !ok || l.Typ != types.Real || l.Null || math.IsNaN(l.Real) || math.Abs(l.Real) >= 1e15 {
			continue
		}
		text := strconv.FormatFloat(l.Real, 'f', -1, 64)
		if _, fraction, _ := strings.Cut(text, "."); len(fraction) <= 18 {
			out[i] = &plan.Lit{Typ: types.Decimal, Text: text}
		}
	}
	return out
}
