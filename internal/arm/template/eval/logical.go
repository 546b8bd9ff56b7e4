package eval

import (
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/value"
)

func logicalFunctions() map[string]*builtin {
	return map[string]*builtin{
		"and": {least: 2, most: -1, lazy: chain(false)},
		"or":  {least: 2, most: -1, lazy: chain(true)},
		"not": {least: 1, most: 1, eager: func(c *call, args []value.Value) (value.Value, error) {
			b, ok := args[0].(bool)
			if !ok {
				return nil, wrongType(c.name, "a boolean", args[0])
			}
			return !b, nil
		}},
		"bool": {least: 1, most: 1, eager: toBool},
		"if": {least: 3, most: 3, lazy: func(c *call) (value.Value, error) {
			cond, err := c.eval(0)
			if err != nil {
				return nil, err
			}
			b, ok := cond.(bool)
			if !ok {
				return nil, Errorf("The template language function '%s' expects its first parameter to be a boolean. The provided value is of type '%s'. %s", c.name, value.TypeName(cond), see(c.name))
			}
			if b {
				return c.eval(1)
			}
			return c.eval(2)
		}},
		"true":  {eager: func(*call, []value.Value) (value.Value, error) { return true, nil }},
		"false": {eager: func(*call, []value.Value) (value.Value, error) { return false, nil }},
	}
}

// chain evaluates booleans until one of them is decisive.
func chain(decisive bool) func(*call) (value.Value, error) {
	return func(c *call) (value.Value, error) {
		for i := range c.args {
			v, err := c.eval(i)
			if err != nil {
				return nil, err
			}
			b, ok := v.(bool)
			if !ok {
				return nil, Errorf("The template language function '%s' expects its parameters to be booleans. The provided value is of type '%s'. %s", c.name, value.TypeName(v), see(c.name))
			}
			if b == decisive {
				return decisive, nil
			}
		}
		return !decisive, nil
	}
}

func toBool(c *call, args []value.Value) (value.Value, error) {
	switch x := args[0].(type) {
	case bool:
		return x, nil
	case int64:
		return x != 0, nil
	case string:
		switch s := strings.TrimSpace(x); {
		case strings.EqualFold(s, "true"):
			return true, nil
		case strings.EqualFold(s, "false"):
			return false, nil
		}
	}
	return nil, notValid(c.name, "The value cannot be converted to the target type.")
}
