package eval

import (
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// arrayFunctions are the functions that make or change arrays.
func arrayFunctions() map[string]*builtin {
	return map[string]*builtin{
		"array": {builds: true, least: 1, most: 1, eager: func(_ *call, args []value.Value) (value.Value, error) {
			if a, ok := args[0].([]value.Value); ok {
				return a, nil
			}
			return []value.Value{args[0]}, nil
		}},
		"createArray": {builds: true, least: 0, most: -1, eager: func(_ *call, args []value.Value) (value.Value, error) { return args, nil }},
		"concat":      {builds: true, least: 1, most: -1, eager: concat},
		"flatten":     {builds: true, least: 1, most: 1, eager: flatten},
		"distinct": {least: 1, most: 1, eager: func(c *call, args []value.Value) (value.Value, error) {
			a, ok := args[0].([]value.Value)
			if !ok {
				return nil, wrongType(c.name, "an array", args[0])
			}
			out, seen := []value.Value{}, newSet(nil)
			for _, item := range a {
				if seen.add(item) {
					out = append(out, item)
				}
			}
			return out, nil
		}},
		"join":  {least: 2, most: 2, eager: join},
		"range": {least: 2, most: 2, eager: rangeOf},
		"skip":  {least: 2, most: 2, eager: skip},
		"take":  {least: 2, most: 2, eager: take},
		"first": {least: 1, most: 1, eager: first},
		"last":  {least: 1, most: 1, eager: last},
		"min":   {least: 1, most: -1, eager: extreme(func(a, b int64) bool { return a < b })},
		"max":   {least: 1, most: -1, eager: extreme(func(a, b int64) bool { return a > b })},
		"indexFromEnd": {least: 2, most: 2, eager: func(c *call, args []value.Value) (value.Value, error) {
			a, n, err := fromEnd(c, args)
			if err != nil {
				return nil, err
			}
			if n < 1 || n > int64(len(a)) {
				return nil, Errorf("The language expression property array index '%d' is out of bounds.", n)
			}
			return a[int64(len(a))-n], nil
		}},
		"tryIndexFromEnd": {least: 2, most: 2, eager: func(c *call, args []value.Value) (value.Value, error) {
			if args[0] == nil {
				return nil, nil
			}
			a, n, err := fromEnd(c, args)
			if err != nil || n < 1 || n > int64(len(a)) {
				return nil, err
			}
			return a[int64(len(a))-n], nil
		}},
	}
}

func fromEnd(c *call, args []value.Value) ([]value.Value, int64, error) {
	a, ok := args[0].([]value.Value)
	if !ok {
		return nil, 0, wrongArgument(c.name, 0, "Array", args[0])
	}
	n, ok := args[1].(int64)
	if !ok {
		return nil, 0, wrongArgument(c.name, 1, "Integer", args[1])
	}
	return a, n, nil
}

func concat(c *call, args []value.Value) (value.Value, error) {
	arrays, items := 0, 0
	for _, a := range args {
		switch a := a.(type) {
		case []value.Value:
			arrays++
			items += len(a)
		case *value.Object:
			return nil, Errorf("The provided parameters for language function '%s' are invalid. The parameters must be strings, integers, booleans or arrays. The provided value is of type 'Object'. %s", c.name, see(c.name))
		}
	}
	if arrays == 0 {
		size := 0
		parts := make([]string, len(args))
		for i, a := range args {
			parts[i] = Render(a)
			size += len(parts[i])
		}
		if err := tooLong(c, size); err != nil {
			return nil, err
		}
		out := make([]byte, 0, size)
		for _, p := range parts {
			out = append(out, p...)
		}
		return string(out), nil
	}
	if arrays != len(args) {
		return nil, Errorf("The provided parameters for language function '%s' are invalid. Either all or none of the parameters must be an array. %s", c.name, see(c.name))
	}
	if err := tooMany(c, items); err != nil {
		return nil, err
	}
	out := make([]value.Value, 0, items)
	for _, a := range args {
		out = append(out, a.([]value.Value)...)
	}
	return out, nil
}

// Limits on what one call may build, so that a small template cannot fill the
// memory by doubling: far above anything a 4 MB request can need.
const (
	maxText  = 16 << 20
	maxItems = 1 << 20
)

func tooLong(c *call, n int) error {
	if n > maxText {
		return Errorf("The template language function '%s' was invoked with parameters that would make a string of %d bytes; the limit is %d. %s", c.name, n, maxText, see(c.name))
	}
	return c.env.Spend(int64(n) / 64)
}

func tooMany(c *call, n int) error {
	if n > maxItems {
		return Errorf("The template language function '%s' was invoked with parameters that would make %d items; the limit is %d. %s", c.name, n, maxItems, see(c.name))
	}
	return c.env.Spend(int64(n) / 64)
}

func flatten(c *call, args []value.Value) (value.Value, error) {
	a, ok := args[0].([]value.Value)
	if !ok {
		return nil, wrongType(c.name, "an array of arrays", args[0])
	}
	out := []value.Value{}
	for _, item := range a {
		inner, ok := item.([]value.Value)
		if !ok {
			return nil, wrongType(c.name, "an array of arrays", item)
		}
		if err := tooMany(c, len(out)+len(inner)); err != nil {
			return nil, err
		}
		out = append(out, inner...)
	}
	return out, nil
}

func join(c *call, args []value.Value) (value.Value, error) {
	a, ok := args[0].([]value.Value)
	if !ok {
		return nil, wrongArgument(c.name, 0, "Array", args[0])
	}
	sep, ok := args[1].(string)
	if !ok {
		return nil, wrongArgument(c.name, 1, "String", args[1])
	}
	size := 0
	parts := make([]string, len(a))
	for i, item := range a {
		parts[i] = Render(item)
		size += len(parts[i]) + len(sep)
	}
	if err := tooLong(c, size); err != nil {
		return nil, err
	}
	out := make([]byte, 0, size)
	for i, p := range parts {
		if i > 0 {
			out = append(out, sep...)
		}
		out = append(out, p...)
	}
	return string(out), nil
}

func rangeOf(c *call, args []value.Value) (value.Value, error) {
	start, ok1 := integer(args[0])
	count, ok2 := integer(args[1])
	if !ok1 || !ok2 {
		return nil, wrongTypes(c.name, "integer and integer", args)
	}
	if count < 0 || count > 10000 {
		return nil, Errorf("The template language function '%s' expects its second parameter to be a number of items from 0 to 10000. The provided value is '%d'. %s", c.name, count, see(c.name))
	}
	if start > 2147483647-count {
		return nil, Errorf("The template language function '%s' expects the sum of its parameters to be at most 2147483647. The provided values are '%d' and '%d'. %s", c.name, start, count, see(c.name))
	}
	out := make([]value.Value, count)
	for i := range out {
		out[i] = start + int64(i)
	}
	return out, tooMany(c, len(out))
}

func skip(c *call, args []value.Value) (value.Value, error) {
	n, ok := integer(args[1])
	if !ok {
		return nil, wrongArgument(c.name, 1, "Integer", args[1])
	}
	switch x := args[0].(type) {
	case []value.Value:
		return x[min(max(n, 0), int64(len(x))):], nil
	case string:
		u := units(x)
		return u.slice(min(max(n, 0), u.len()), u.len()), nil
	}
	return nil, wrongType(c.name, "an array or a string", args[0])
}

func take(c *call, args []value.Value) (value.Value, error) {
	n, ok := integer(args[1])
	if !ok {
		return nil, wrongArgument(c.name, 1, "Integer", args[1])
	}
	switch x := args[0].(type) {
	case []value.Value:
		return x[:min(max(n, 0), int64(len(x)))], nil
	case string:
		u := units(x)
		return u.slice(0, min(max(n, 0), u.len())), nil
	}
	return nil, wrongType(c.name, "an array or a string", args[0])
}

func first(c *call, args []value.Value) (value.Value, error) {
	switch x := args[0].(type) {
	case []value.Value:
		if len(x) == 0 {
			return nil, nil
		}
		return x[0], nil
	case string:
		u := units(x)
		return u.slice(0, min(1, u.len())), nil
	}
	return nil, Errorf("The template language function '%s' expects its parameter be an array or a string. The provided value is of type '%s'. %s", c.name, value.TypeName(args[0]), see(c.name))
}

func last(c *call, args []value.Value) (value.Value, error) {
	switch x := args[0].(type) {
	case []value.Value:
		if len(x) == 0 {
			return nil, nil
		}
		return x[len(x)-1], nil
	case string:
		u := units(x)
		return u.slice(max(0, u.len()-1), u.len()), nil
	}
	return nil, Errorf("The template language function '%s' expects its parameter be an array or a string. The provided value is of type '%s'. %s", c.name, value.TypeName(args[0]), see(c.name))
}

func extreme(better func(a, b int64) bool) func(*call, []value.Value) (value.Value, error) {
	return func(c *call, args []value.Value) (value.Value, error) {
		items := args
		if a, ok := args[0].([]value.Value); ok && len(args) == 1 {
			items = a
		}
		if len(items) == 0 {
			return nil, Errorf("The template language function '%s' expects at least one integer. %s", c.name, see(c.name))
		}
		var best int64
		for i, item := range items {
			n, ok := integer(item)
			if !ok {
				return nil, wrongType(c.name, "an array of integers or a list of integers", item)
			}
			if i == 0 || better(n, best) {
				best = n
			}
		}
		return best, nil
	}
}
