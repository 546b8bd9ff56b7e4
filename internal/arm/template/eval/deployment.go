package eval

import "github.com/kustos-io/kustos/internal/arm/template/value"

// deploymentFunctions read the deployment itself: its parameters, variables
// and surroundings.
func deploymentFunctions() map[string]*builtin {
	return map[string]*builtin{
		"parameters": {least: 1, most: 1, eager: func(c *call, args []value.Value) (value.Value, error) {
			return named(c, c.env.Parameters, args[0])
		}},
		"variables": {least: 1, most: 1, eager: func(c *call, args []value.Value) (value.Value, error) {
			return named(c, c.env.Variables, args[0])
		}},
		"deployment": {eager: func(c *call, _ []value.Value) (value.Value, error) {
			if c.env.Deployment == nil {
				return nil, misplaced(c.name)
			}
			return c.env.Deployment()
		}},
		"environment": {eager: scopeObject(func(s *Scope) value.Value { return s.Environment })},
		"deployer":    {eager: scopeObject(func(s *Scope) value.Value { return s.Deployer })},
	}
}

func named(c *call, lookup func(string) (value.Value, error), arg value.Value) (value.Value, error) {
	name, ok := arg.(string)
	if !ok {
		return nil, wrongType(c.name, "of type 'String'", arg)
	}
	if lookup == nil {
		return nil, misplaced(c.name)
	}
	return lookup(name)
}

// scopeObject is a function without arguments that returns one object of the scope.
func scopeObject(pick func(*Scope) value.Value) func(*call, []value.Value) (value.Value, error) {
	return func(c *call, _ []value.Value) (value.Value, error) {
		if c.env.Scope == nil {
			return nil, misplaced(c.name)
		}
		v := pick(c.env.Scope)
		if v == nil {
			return nil, misplaced(c.name)
		}
		return v, nil
	}
}
