package eval

import (
	"sort"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/expr"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

func lambdaFunctions() map[string]*builtin {
	return map[string]*builtin{
		"lambda": {least: 1, most: -1, lazy: func(c *call) (value.Value, error) { return nil, misplaced(c.name) }},
		"lambdaVariables": {least: 1, most: 1, eager: func(c *call, args []value.Value) (value.Value, error) {
			name, ok := args[0].(string)
			if !ok {
				return nil, wrongType(c.name, "a string", args[0])
			}
			for b := c.env.lambda; b != nil; b = b.outer {
				if strings.EqualFold(b.name, name) {
					return b.value, nil
				}
			}
			return nil, Errorf("The lambda variable '%s' is not found. %s", name, seeFunctions)
		}},
		"filter":    {builds: true, least: 2, most: 2, lazy: filter},
		"map":       {builds: true, least: 2, most: 2, lazy: mapArray},
		"mapValues": {builds: true, least: 2, most: 2, lazy: mapValues},
		"reduce":    {builds: true, least: 3, most: 3, lazy: reduce},
		"sort":      {least: 2, most: 2, lazy: sortArray},
		"toObject":  {builds: true, least: 2, most: 3, lazy: toObject},
		"groupBy":   {builds: true, least: 2, most: 3, lazy: groupBy},
	}
}

// lambda is a function literal: lambda('a', 'b', body).
type lambda struct {
	env   *Env
	names []string
	body  expr.Expr
}

// lambdaArg reads argument i as a lambda with least to most variables.
func (c *call) lambdaArg(i, least, most int) (*lambda, error) {
	e, ok := c.args[i].(*expr.Call)
	if !ok || !strings.EqualFold(e.Name, "lambda") || len(e.Args) == 0 {
		return nil, Errorf("The template language function '%s' expects its %s parameter to be a lambda. %s", c.name, ordinal(i), see(c.name))
	}
	l := &lambda{env: c.env, body: e.Args[len(e.Args)-1]}
	for _, a := range e.Args[:len(e.Args)-1] {
		t, ok := a.(*expr.Text)
		if !ok {
			return nil, Errorf("The template language function '%s' expects the variable names of its lambda to be string constants. %s", c.name, see(c.name))
		}
		l.names = append(l.names, t.Value)
	}
	if n := len(l.names); n < least || n > most {
		if least == most {
			return nil, Errorf("The template language function '%s' expects its lambda to have %d variable(s) while %d were provided. %s", c.name, least, n, see(c.name))
		}
		return nil, Errorf("The template language function '%s' expects its lambda to have between %d and %d variables while %d were provided. %s", c.name, least, most, n, see(c.name))
	}
	return l, nil
}

// run evaluates the body with as many of args as the lambda has variables.
func (l *lambda) run(args ...value.Value) (value.Value, error) {
	saved := l.env.lambda
	defer func() { l.env.lambda = saved }()
	for i, name := range l.names {
		l.env.lambda = &binding{name, args[i], l.env.lambda}
	}
	return l.env.Eval(l.body)
}

func (c *call) arrayArg(i int) ([]value.Value, error) {
	v, err := c.eval(i)
	if err != nil {
		return nil, err
	}
	a, ok := v.([]value.Value)
	if !ok {
		return nil, wrongArgument(c.name, i, "Array", v)
	}
	return a, nil
}

func filter(c *call) (value.Value, error) {
	items, err := c.arrayArg(0)
	if err != nil {
		return nil, err
	}
	l, err := c.lambdaArg(1, 1, 2)
	if err != nil {
		return nil, err
	}
	out := []value.Value{}
	for i, item := range items {
		v, err := l.run(item, int64(i))
		if err != nil {
			return nil, err
		}
		keep, ok := v.(bool)
		if !ok {
			return nil, lambdaResult(c, "Boolean", v)
		}
		if keep {
			out = append(out, item)
		}
	}
	return out, nil
}

func lambdaResult(c *call, want string, v value.Value) error {
	return Errorf("The template language function '%s' expects its lambda to return a value of type '%s'. The returned value is of type '%s'. %s", c.name, want, value.TypeName(v), see(c.name))
}

func mapArray(c *call) (value.Value, error) {
	items, err := c.arrayArg(0)
	if err != nil {
		return nil, err
	}
	l, err := c.lambdaArg(1, 1, 2)
	if err != nil {
		return nil, err
	}
	out := make([]value.Value, len(items))
	for i, item := range items {
		if out[i], err = l.run(item, int64(i)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func mapValues(c *call) (value.Value, error) {
	v, err := c.eval(0)
	if err != nil {
		return nil, err
	}
	o, ok := v.(*value.Object)
	if !ok {
		return nil, wrongArgument(c.name, 0, "Object", v)
	}
	l, err := c.lambdaArg(1, 1, 1)
	if err != nil {
		return nil, err
	}
	out := value.NewObject(o.Len())
	for _, m := range o.Members() {
		v, err := l.run(m.Value)
		if err != nil {
			return nil, err
		}
		out.Set(m.Name, v)
	}
	return out, nil
}

func reduce(c *call) (value.Value, error) {
	items, err := c.arrayArg(0)
	if err != nil {
		return nil, err
	}
	acc, err := c.eval(1)
	if err != nil {
		return nil, err
	}
	l, err := c.lambdaArg(2, 2, 3)
	if err != nil {
		return nil, err
	}
	for i, item := range items {
		if acc, err = l.run(acc, item, int64(i)); err != nil {
			return nil, err
		}
	}
	return acc, nil
}

// sortArray is stable; the lambda says whether its first variable comes before its second.
func sortArray(c *call) (value.Value, error) {
	items, err := c.arrayArg(0)
	if err != nil {
		return nil, err
	}
	l, err := c.lambdaArg(1, 2, 2)
	if err != nil {
		return nil, err
	}
	out := append([]value.Value{}, items...)
	var failed error
	sort.SliceStable(out, func(i, j int) bool {
		if failed != nil {
			return false
		}
		// SliceStable asks "is i before j?"; equal elements must say no both ways.
		before, err := sortBefore(c, l, out[i], out[j])
		if err == nil && before {
			var after bool
			after, err = sortBefore(c, l, out[j], out[i])
			before = !after
		}
		failed = err
		return before
	})
	if failed != nil {
		return nil, failed
	}
	return out, nil
}

func sortBefore(c *call, l *lambda, a, b value.Value) (bool, error) {
	v, err := l.run(a, b)
	if err != nil {
		return false, err
	}
	before, ok := v.(bool)
	if !ok {
		return false, lambdaResult(c, "Boolean", v)
	}
	return before, nil
}

// keyed runs the key lambda and the optional value lambda over an array.
func keyed(c *call, each func(key string, v value.Value)) error {
	items, err := c.arrayArg(0)
	if err != nil {
		return err
	}
	keys, err := c.lambdaArg(1, 1, 1)
	if err != nil {
		return err
	}
	var values *lambda
	if len(c.args) == 3 {
		if values, err = c.lambdaArg(2, 1, 1); err != nil {
			return err
		}
	}
	for _, item := range items {
		k, err := keys.run(item)
		if err != nil {
			return err
		}
		key, ok := k.(string)
		if !ok {
			return lambdaResult(c, "String", k)
		}
		v := item
		if values != nil {
			if v, err = values.run(item); err != nil {
				return err
			}
		}
		each(key, v)
	}
	return nil
}

func toObject(c *call) (value.Value, error) {
	out := value.NewObject(8)
	if err := keyed(c, out.Set); err != nil {
		return nil, err
	}
	return out, nil
}

func groupBy(c *call) (value.Value, error) {
	groups := map[string][]value.Value{} // names that differ in case are two groups
	var order []string
	err := keyed(c, func(key string, v value.Value) {
		if _, ok := groups[key]; !ok {
			order = append(order, key)
		}
		groups[key] = append(groups[key], v)
	})
	if err != nil {
		return nil, err
	}
	out := value.NewObject(len(order))
	for _, key := range order {
		out.Set(key, groups[key])
	}
	return out, nil
}
