package eval

import (
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// resourceFunctions read resources.
func resourceFunctions() map[string]*builtin {
	return map[string]*builtin{
		"reference":    {least: 1, most: 3, eager: reference},
		"references":   {least: 1, most: 2, eager: references},
		"list*":        {least: 1, most: 3, eager: list},
		"resourceInfo": {least: 1, most: 1, eager: resourceInfo},
		"providers":    {least: 1, most: 2, eager: providers},
		"pickZones":    {least: 3, most: 5, eager: pickZones},
	}
}

func full(c *call, v value.Value) (bool, error) {
	s, ok := v.(string)
	if !ok {
		return false, wrongArgument(c.name, len(c.args)-1, "String", v)
	}
	switch {
	case strings.EqualFold(s, "full"):
		return true, nil
	case strings.EqualFold(s, "properties"):
		return false, nil
	}
	return false, Errorf("Unable to evaluate template language function '%s': the last parameter must be 'Full' or 'Properties'. The provided value is '%s'. %s", c.name, s, see(c.name))
}

func reference(c *call, args []value.Value) (value.Value, error) {
	if c.env.Runtime == nil {
		return nil, misplaced(c.name)
	}
	target, ok := args[0].(string)
	if !ok {
		return nil, wrongArgument(c.name, 0, "String", args[0])
	}
	version, whole := "", false
	if len(args) > 1 && args[1] != nil {
		if version, ok = args[1].(string); !ok {
			return nil, wrongArgument(c.name, 1, "String", args[1])
		}
	}
	if len(args) > 2 {
		var err error
		if whole, err = full(c, args[2]); err != nil {
			return nil, err
		}
	}
	return c.env.Runtime.Reference(target, version, whole)
}

func references(c *call, args []value.Value) (value.Value, error) {
	if c.env.Runtime == nil {
		return nil, misplaced(c.name)
	}
	loop, ok := args[0].(string)
	if !ok {
		return nil, wrongArgument(c.name, 0, "String", args[0])
	}
	whole := false
	if len(args) > 1 {
		var err error
		if whole, err = full(c, args[1]); err != nil {
			return nil, err
		}
	}
	return c.env.Runtime.References(loop, whole)
}

func list(c *call, args []value.Value) (value.Value, error) {
	if c.env.Runtime == nil {
		return nil, misplaced(c.name)
	}
	target, ok := args[0].(string)
	if !ok {
		return nil, wrongArgument(c.name, 0, "String", args[0])
	}
	version := ""
	if len(args) > 1 {
		if version, ok = args[1].(string); !ok {
			return nil, wrongArgument(c.name, 1, "String", args[1])
		}
	}
	var body value.Value
	if len(args) > 2 {
		body = args[2]
	}
	return c.env.Runtime.List(c.name, target, version, body)
}

func resourceInfo(c *call, args []value.Value) (value.Value, error) {
	symbol, ok := args[0].(string)
	if !ok {
		return nil, wrongType(c.name, "of type 'String'", args[0])
	}
	if c.env.Resources == nil {
		return nil, misplaced(c.name)
	}
	return c.env.Resources(symbol)
}

func providers(c *call, args []value.Value) (value.Value, error) {
	names, err := texts(c, args)
	if err != nil {
		return nil, err
	}
	return provided(c, append(names, "")[:2])
}

func provided(c *call, names []string) (value.Value, error) {
	if c.env.Scope == nil || c.env.Scope.Providers == nil {
		return nil, misplaced(c.name)
	}
	v, ok := c.env.Scope.Providers(names[0], names[1])
	if !ok {
		return nil, Errorf("Unable to evaluate template language function '%s': the resource type '%s' is not known. %s", c.name, strings.TrimSuffix(names[0]+"/"+names[1], "/"), see(c.name))
	}
	return v, nil
}

// pickZones has no zones to pick: no type served here has any, and for such a
// type the service's answer is an empty array.
func pickZones(c *call, args []value.Value) (value.Value, error) {
	names, err := texts(c, args[:3])
	if err != nil {
		return nil, err
	}
	for i, a := range args[3:] {
		if _, ok := a.(int64); !ok {
			return nil, wrongArgument(c.name, i+3, "Integer", a)
		}
	}
	if _, err := provided(c, names[:2]); err != nil {
		return nil, err
	}
	return []value.Value{}, nil
}
