package funcs

import (
	"fmt"
	"math"
	"strings"

	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

func noOperator(op string, l, r types.Type) error {
	return fmt.Errorf("the operator '%s' is not defined for %s and %s", op, l, r)
}

// And joins predicates; nested conjunctions become one.
func And(l, r plan.Expr) (plan.Expr, error) { return logic("and", l, r) }

// Or is the disjunction of predicates.
func Or(l, r plan.Expr) (plan.Expr, error) { return logic("or", l, r) }

func logic(op string, l, r plan.Expr) (plan.Expr, error) {
	if l.Type() != types.Bool || r.Type() != types.Bool {
		return nil, noOperator(op, l.Type(), r.Type())
	}
	c := call(op, types.Bool)
	for _, x := range []plan.Expr{l, r} {
		if n, ok := x.(*plan.Call); ok && n.Op == op {
			c.Args = append(c.Args, n.Args...)
		} else {
			c.Args = append(c.Args, x)
		}
	}
	return c, nil
}

// Negate is unary minus.
func Negate(x plan.Expr) (plan.Expr, error) {
	t := x.Type()
	if !t.Numeric() && t != types.TimeSpan {
		return nil, fmt.Errorf("the operator '-' is not defined for %s", t)
	}
	if l, ok := x.(*plan.Lit); ok && !l.Null && t != types.Decimal && l.Int != math.MinInt64 {
		return &plan.Lit{Typ: t, Int: -l.Int, Real: -l.Real}, nil
	}
	return call("neg", t, x), nil
}

// Arithmetic types and folds + - * / %.
func Arithmetic(op string, l, r plan.Expr) (plan.Expr, error) {
	lt, rt := l.Type(), r.Type()
	const dt, ts = types.DateTime, types.TimeSpan
	switch {
	case lt.Numeric() && rt.Numeric():
		return number(op, l, r)
	case op == "-" && lt == dt && rt == dt:
		return ticks("sub", ts, l, r), nil
	case op == "+" && (lt == dt && rt == ts || lt == ts && rt == dt):
		return ticks("add", dt, l, r), nil
	case op == "-" && lt == dt && rt == ts:
		return ticks("sub", dt, l, r), nil
	case (op == "+" || op == "-") && lt == ts && rt == ts:
		return ticks(map[string]string{"+": "add", "-": "sub"}[op], ts, l, r), nil
	case op == "*" && lt == ts && rt.Integer(), op == "*" && rt == ts && lt.Integer():
		return ticks("mul", ts, l, r), nil
	case op == "*" && lt == ts && rt == types.Real:
		return call("span.scale", ts, l, r), nil
	case op == "*" && rt == ts && lt == types.Real:
		return call("span.scale", ts, r, l), nil
	case op == "/" && lt == ts && rt == ts:
		return call("span.ratio", types.Real, l, r), nil
	case op == "/" && lt == ts && rt.Integer():
		return call("div", ts, l, Cast(r, types.Long)), nil
	case op == "/" && lt == ts && rt == types.Real:
		return call("span.scale", ts, l, call("div", types.Real, plan.Real(1), r)), nil
	case op == "%" && lt == ts && rt == ts:
		return call("mod", ts, l, r), nil
	}
	return nil, noOperator(op, lt, rt)
}

// ticks folds constants, so that a filter on a datetime column compares it with a constant.
func ticks(op string, t types.Type, l, r plan.Expr) plan.Expr {
	a, aok := l.(*plan.Lit)
	b, bok := r.(*plan.Lit)
	if aok && bok && !a.Null && !b.Null {
		n, ok := int64(0), false
		switch op {
		case "add":
			n = a.Int + b.Int
			ok = (n > a.Int) == (b.Int > 0)
		case "sub":
			n = a.Int - b.Int
			ok = (n < a.Int) == (b.Int > 0)
		}
		if ok && (t != types.DateTime || n >= 0 && n <= types.MaxDateTime) {
			return &plan.Lit{Typ: t, Int: n}
		}
	}
	if op == "mul" {
		return call("mul", t, Cast(l, l64(l)), Cast(r, l64(r)))
	}
	if t == types.DateTime {
		return call("datetime."+op, t, l, r)
	}
	return call(op, t, l, r)
}

func l64(x plan.Expr) types.Type {
	if x.Type() == types.Int {
		return types.Long
	}
	return x.Type()
}

func number(op string, l, r plan.Expr) (plan.Expr, error) {
	both := exact([]plan.Expr{l, r})
	l, r = both[0], both[1]
	t := types.Widest(l.Type(), r.Type())
	if t == types.Invalid {
		return nil, noOperator(op, l.Type(), r.Type())
	}
	if t == types.Int {
		t = types.Long
	}
	if t == types.Decimal && op != "+" && op != "-" {
		return nil, fmt.Errorf("the operator '%s' on decimal is not supported", op)
	}
	name := map[string]string{"+": "add", "-": "sub", "*": "mul", "/": "div", "%": "mod"}[op]
	return call(name, t, Cast(l, t), Cast(r, t)), nil
}

// Compare types == != < <= > >=.
func Compare(op string, l, r plan.Expr) (plan.Expr, error) {
	lt, rt := l.Type(), r.Type()
	equality := op == "==" || op == "!="
	name := map[string]string{"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}[op]
	switch {
	case isNull(l) && lt == types.Dynamic && rt != types.String:
		l, lt = plan.Null(rt), rt
	case isNull(r) && rt == types.Dynamic && lt != types.String:
		r, rt = plan.Null(lt), lt
	}
	switch {
	case lt == types.Dynamic && rt == types.Dynamic:
		return nil, fmt.Errorf("the operator '%s' on two dynamic values is not supported; convert one of them", op)
	case lt == types.Dynamic:
		return dynamicCompare(op, name, l, r, false)
	case rt == types.Dynamic:
		return dynamicCompare(op, name, l, r, true)
	case lt.Numeric() && rt.Numeric():
		both := exact([]plan.Expr{l, r})
		t := types.Widest(both[0].Type(), both[1].Type())
		if t == types.Invalid {
			return nil, noOperator(op, lt, rt)
		}
		return call(name, types.Bool, Cast(both[0], t), Cast(both[1], t)), nil
	case lt != rt:
		return nil, noOperator(op, lt, rt)
	case equality, lt == types.DateTime, lt == types.TimeSpan:
		return call(name, types.Bool, l, r), nil
	}
	return nil, noOperator(op, lt, rt)
}

// dynamicCompare compares the value inside a dynamic with a scalar; a value of another kind counts as null.
func dynamicCompare(op, name string, l, r plan.Expr, swapped bool) (plan.Expr, error) {
	d, s := l, r
	if swapped {
		d, s = r, l
	}
	t := s.Type()
	var v plan.Expr
	switch t {
	case types.String:
		if name != "eq" && name != "ne" {
			return nil, noOperator(op, l.Type(), r.Type())
		}
		v = call("dynamic.text", types.Dynamic, d) // null stays null here, unlike in tostring
	case types.Int, types.Long, types.Real:
		v, s = call("dynamic.number", types.Real, d), Cast(s, types.Real)
		if t != types.Real {
			v, s = call("dynamic.long", types.Long, d), Cast(r, types.Long)
			if swapped {
				s = Cast(l, types.Long)
			}
			if name != "eq" && name != "ne" {
				v, s = call("dynamic.number", types.Real, d), Cast(s, types.Real)
			}
		}
	case types.Bool:
		v = call("dynamic.bool", types.Bool, d)
	case types.DateTime, types.TimeSpan, types.GUID:
		var err error
		if v, err = Convert(d, t); err != nil {
			return nil, err
		}
	default:
		return nil, noOperator(op, l.Type(), r.Type())
	}
	if swapped {
		return call(name, types.Bool, s, v), nil
	}
	return call(name, types.Bool, v, s), nil
}

// textOperators maps the word operators to their plan operation and whether they ignore case.
var textOperators = map[string]struct {
	op   string
	fold bool
}{
	"contains": {"contains", true}, "contains_cs": {"contains", false}, "containscs": {"contains", false},
	"startswith": {"startswith", true}, "startswith_cs": {"startswith", false},
	"endswith": {"endswith", true}, "endswith_cs": {"endswith", false},
	"has": {"has", true}, "has_cs": {"has", false},
	"hasprefix": {"hasprefix", true}, "hasprefix_cs": {"hasprefix", false},
	"hassuffix": {"hassuffix", true}, "hassuffix_cs": {"hassuffix", false},
	"=~": {"equals", true}, "matches regex": {"matches", false},
}

// Text types the string operators, negated ones included. Operands that are not text count by their text.
func Text(op string, l, r plan.Expr) (plan.Expr, error) {
	base, not := strings.CutPrefix(op, "!")
	if op == "!~" {
		base, not = "=~", true
	}
	o, ok := textOperators[base]
	if !ok {
		return nil, fmt.Errorf("the operator '%s' is not supported", op)
	}
	for _, x := range []plan.Expr{l, r} {
		if t := x.Type(); t != types.String && t != types.Dynamic {
			return nil, noOperator(op, l.Type(), r.Type())
		}
	}
	l, r = ToText(l), ToText(r)
	if o.op == "matches" {
		if err := checkPattern(r); err != nil {
			return nil, err
		}
	}
	c := call("text."+o.op, types.Bool, l, r)
	if o.fold {
		c.Op += ".fold"
	}
	if not {
		return call("not", types.Bool, c), nil
	}
	return c, nil
}

// Not is not(x).
func Not(x plan.Expr) (plan.Expr, error) {
	if x.Type() != types.Bool {
		return nil, fmt.Errorf("not(): argument 1 is expected to be bool and is %s", x.Type())
	}
	return call("not", types.Bool, x), nil
}
