package eval

import "github.com/kustos-io/kustos/internal/arm/template/value"

func flowFunctions() map[string]*builtin {
	return map[string]*builtin{
		"fail": {least: 1, most: 1, eager: func(c *call, args []value.Value) (value.Value, error) {
			s, ok := args[0].(string)
			if !ok {
				return nil, wrongType(c.name, "a string", args[0])
			}
			return nil, &Error{Message: s}
		}},
	}
}
