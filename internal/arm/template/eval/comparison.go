package eval

import (
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

func comparisonFunctions() map[string]*builtin {
	return map[string]*builtin{
		"equals":          {least: 2, most: 2, eager: func(_ *call, args []value.Value) (value.Value, error) { return value.Equal(args[0], args[1]), nil }},
		"less":            {least: 2, most: 2, eager: compare(func(n int) bool { return n < 0 })},
		"lessOrEquals":    {least: 2, most: 2, eager: compare(func(n int) bool { return n <= 0 })},
		"greater":         {least: 2, most: 2, eager: compare(func(n int) bool { return n > 0 })},
		"greaterOrEquals": {least: 2, most: 2, eager: compare(func(n int) bool { return n >= 0 })},
		"coalesce": {least: 1, most: -1, lazy: func(c *call) (value.Value, error) {
			for i := range c.args {
				v, err := c.eval(i)
				if v != nil || err != nil {
					return v, err
				}
			}
			return nil, nil
		}},
	}
}

func compare(accept func(int) bool) func(*call, []value.Value) (value.Value, error) {
	return func(c *call, args []value.Value) (value.Value, error) {
		switch a := args[0].(type) {
		case int64:
			switch b := args[1].(type) {
			case int64:
				return accept(order(a, b)), nil
			case float64:
				return accept(order(float64(a), b)), nil
			}
		case float64:
			switch b := args[1].(type) {
			case int64:
				return accept(order(a, float64(b))), nil
			case float64:
				return accept(order(a, b)), nil
			}
		case string:
			if b, ok := args[1].(string); ok {
				return accept(value.CompareText(a, b)), nil
			}
		}
		return nil, Errorf("The template language function '%s' expects two parameters of matching types. The function was invoked with values of type '%s' and '%s' that do not match or cannot be ordered. %s",
			c.name, value.TypeName(args[0]), value.TypeName(args[1]), see(c.name))
	}
}

func order[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
