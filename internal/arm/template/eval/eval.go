package eval

import (
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/expr"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// Eval computes an expression. The error is an *Error, an *expr.Error, a
// *Deferred, or what the Env's own members returned.
func (env *Env) Eval(e expr.Expr) (value.Value, error) {
	if err := env.Spend(1); err != nil {
		return nil, err
	}
	switch e := e.(type) {
	case *expr.Text:
		return e.Value, nil
	case *expr.Int:
		return e.Value, nil
	case *expr.Call:
		return env.call(e)
	case *expr.Property:
		x, err := env.Eval(e.X)
		if err != nil {
			return partOf(err, e.Name)
		}
		return property(x, e.Name)
	case *expr.Index:
		x, xerr := env.Eval(e.X)
		if xerr != nil && !isDeferred(xerr) {
			return nil, xerr
		}
		at, err := env.Eval(e.At)
		if err != nil {
			return nil, err
		}
		if xerr != nil {
			return partOf(xerr, at)
		}
		return index(x, at)
	}
	panic(fmt.Sprintf("BUG: unknown expression %T", e))
}

func (env *Env) call(e *expr.Call) (value.Value, error) {
	if strings.Contains(e.Name, ".") {
		return env.userCall(e)
	}
	b, ok := env.Library.lookup(e.Name)
	if !ok || e.Name == "list*" {
		return nil, unknownFunction(e.Name)
	}
	n := len(e.Args)
	if n < b.least || b.most >= 0 && n > b.most {
		if b.arity != nil {
			return nil, b.arity(e.Name, n)
		}
		return nil, arityError(e.Name, b.least, b.most, n)
	}
	c := &call{name: e.Name, env: env, args: e.Args}
	if b.lazy != nil {
		v, err := b.lazy(c)
		return env.weighed(b, v, err)
	}
	args, err := env.arguments(e.Args)
	if err != nil {
		return nil, err
	}
	v, err := b.eager(c, args)
	return env.weighed(b, v, err)
}

func (env *Env) weighed(b *builtin, v value.Value, err error) (value.Value, error) {
	if err == nil && b.builds {
		err = env.Weigh(v)
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// Weigh refuses a value that would be too large once it is written out.
func (env *Env) Weigh(v value.Value) error {
	n := value.Weight(v, maxItems)
	if n >= maxItems {
		return Errorf("The template is too complex: one of its values has more than %d parts. %s", maxItems, seeFunctions)
	}
	return env.Spend(int64(n) / 64)
}

func (env *Env) arguments(exprs []expr.Expr) ([]value.Value, error) {
	args := make([]value.Value, len(exprs))
	for i, a := range exprs {
		v, err := env.Eval(a)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	return args, nil
}

func (env *Env) userCall(e *expr.Call) (value.Value, error) {
	if env.Functions == nil {
		return nil, unknownFunction(e.Name)
	}
	f, ok := env.Functions(e.Name)
	if !ok {
		return nil, unknownFunction(e.Name)
	}
	args, err := env.arguments(e.Args)
	if err != nil {
		return nil, err
	}
	return f(args)
}

func property(x value.Value, name string) (value.Value, error) {
	o, ok := x.(*value.Object)
	if !ok {
		return nil, Errorf("The language expression property '%s' can't be evaluated.", name)
	}
	v, ok := o.Get(name)
	if !ok {
		names := make([]string, 0, o.Len())
		for _, m := range o.Members() {
			names = append(names, m.Name)
		}
		return nil, Errorf("The language expression property '%s' doesn't exist, available properties are '%s'.", name, strings.Join(names, ", "))
	}
	return v, nil
}

func index(x, at value.Value) (value.Value, error) {
	switch at := at.(type) {
	case string:
		return property(x, at)
	case int64:
		a, ok := x.([]value.Value)
		if !ok {
			return nil, Errorf("The language expression property '%d' can't be evaluated.", at)
		}
		if at < 0 || at >= int64(len(a)) {
			return nil, Errorf("The language expression property array index '%d' is out of bounds.", at)
		}
		return a[at], nil
	}
	return nil, Errorf("The language expression property or index must be a string or an integer. The provided value is of type '%s'.", value.TypeName(at))
}

// Text computes a template string: an expression, an escaped literal or itself.
func (env *Env) Text(s string) (value.Value, error) {
	if !expr.IsExpression(s) {
		return expr.Literal(s), nil
	}
	e, err := expr.Template(s)
	if err != nil {
		return nil, err
	}
	v, err := env.Eval(e)
	if err != nil && env.Partial && isDeferred(err) {
		env.Unresolved++
		return structured(env.Fold(e)), nil
	}
	return v, err
}

func isDeferred(err error) bool {
	var d *Deferred
	return errors.As(err, &d)
}

// Constant is the expression that means v.
func Constant(v value.Value) expr.Expr { return constant(v) }

// Node computes a JSON subtree: every string and every member name that is an
// expression is evaluated.
func (env *Env) Node(n *relaxed.Node) (value.Value, error) {
	if n == nil {
		return nil, nil
	}
	if err := env.Spend(1); err != nil {
		return nil, err
	}
	switch n.Kind {
	case relaxed.Array:
		out := make([]value.Value, len(n.Items))
		for i, item := range n.Items {
			v, err := env.Node(item)
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	case relaxed.Object:
		out := value.NewObject(len(n.Members))
		for _, m := range n.Members {
			name, err := env.Name(m.Name)
			if err != nil {
				return nil, err
			}
			v, err := env.Node(m.Node)
			if err != nil {
				return nil, err
			}
			out.Set(name, v)
		}
		return out, nil
	}
	if s, ok := n.Scalar.(string); ok {
		return env.Text(s)
	}
	return n.Scalar, nil
}

// Name computes a member name.
func (env *Env) Name(name string) (string, error) {
	if !expr.IsExpression(name) {
		return expr.Literal(name), nil
	}
	v, err := env.Text(name)
	if err != nil {
		return "", err
	}
	s, ok := v.(string)
	if !ok {
		return "", Errorf("The language expression '%s' of a property name must evaluate to a string. The provided value is of type '%s'.", name, value.TypeName(v))
	}
	return s, nil
}

// Fold evaluates as much of e as can be known now and returns what is left:
// arguments and operands that evaluate are replaced by constants.
func (env *Env) Fold(e expr.Expr) expr.Expr {
	v, err := env.Eval(e)
	if err == nil {
		return constant(v)
	}
	if d := new(Deferred); errors.As(err, &d) && d.Expr != nil {
		if c, ok := e.(*expr.Call); ok && (strings.EqualFold(c.Name, "parameters") || strings.EqualFold(c.Name, "variables")) {
			return d.Expr
		}
	}
	switch e := e.(type) {
	case *expr.Call:
		if strings.EqualFold(e.Name, "lambda") {
			return e
		}
		if strings.EqualFold(e.Name, "if") && len(e.Args) == 3 { // a known condition chooses now
			if c, err := env.Eval(e.Args[0]); err == nil {
				if c == true {
					return env.Fold(e.Args[1])
				} else if c == false {
					return env.Fold(e.Args[2])
				}
			}
		}
		out := &expr.Call{Name: e.Name, At: e.At, Args: make([]expr.Expr, len(e.Args))}
		for i, a := range e.Args {
			out.Args[i] = env.Fold(a)
		}
		return out
	case *expr.Property:
		return &expr.Property{X: env.Fold(e.X), Name: e.Name}
	case *expr.Index:
		return &expr.Index{X: env.Fold(e.X), At: env.Fold(e.At)}
	}
	return e
}

// constant is the expression that means v.
func constant(v value.Value) expr.Expr {
	switch v := v.(type) {
	case string:
		return &expr.Text{Value: v}
	case int64:
		return &expr.Int{Value: v}
	case bool:
		if v {
			return &expr.Call{Name: "true"}
		}
		return &expr.Call{Name: "false"}
	case nil:
		return &expr.Call{Name: "null"}
	}
	return &expr.Call{Name: "json", Args: []expr.Expr{&expr.Text{Value: value.JSON(v)}}}
}

// Render is a value as concat, format and join print it: True and False, null
// as nothing, objects and arrays as JSON in single quotes.
func Render(v value.Value) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		if v {
			return "True"
		}
		return "False"
	case string:
		return v
	case int64, *big.Int:
		return value.JSON(v)
	case float64:
		return strings.TrimSuffix(value.FormatFloat(v), ".0")
	}
	return string(value.AppendSingleQuoted(nil, v))
}
