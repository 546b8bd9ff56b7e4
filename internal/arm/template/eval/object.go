package eval

import (
	"errors"
	"slices"

	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

func objectFunctions() map[string]*builtin {
	return map[string]*builtin{
		"createObject": {builds: true, least: 0, most: -1, eager: createObject},
		"json":         {least: 1, most: 1, eager: parseJSON},
		"null":         {eager: func(*call, []value.Value) (value.Value, error) { return nil, nil }},
		"items": {builds: true, least: 1, most: 1, eager: func(c *call, args []value.Value) (value.Value, error) {
			members, err := sortedMembers(c, args[0])
			if err != nil {
				return nil, err
			}
			out := make([]value.Value, len(members))
			for i, m := range members {
				out[i] = value.Of(value.Member{Name: "key", Value: m.Name}, value.Member{Name: "value", Value: m.Value})
			}
			return out, nil
		}},
		"objectKeys": {least: 1, most: 1, eager: func(c *call, args []value.Value) (value.Value, error) {
			members, err := sortedMembers(c, args[0])
			if err != nil {
				return nil, err
			}
			out := make([]value.Value, len(members))
			for i, m := range members {
				out[i] = m.Name
			}
			return out, nil
		}},
		"shallowMerge": {builds: true, least: 1, most: 1, eager: func(c *call, args []value.Value) (value.Value, error) {
			list, ok := args[0].([]value.Value)
			if !ok {
				return nil, wrongType(c.name, "an array of objects", args[0])
			}
			out := value.NewObject(8)
			for _, item := range list {
				o, ok := item.(*value.Object)
				if !ok {
					return nil, wrongType(c.name, "an array of objects", item)
				}
				for _, m := range o.Members() {
					if _, had := out.Get(m.Name); had {
						out.Set(foldedName(out, m.Name), m.Value)
						continue
					}
					out.Set(m.Name, m.Value)
				}
			}
			return out, nil
		}},
	}
}

func createObject(c *call, args []value.Value) (value.Value, error) {
	if len(args)%2 != 0 {
		return nil, Errorf("Unable to evaluate template language function '%s': function requires an even number of arguments, keys and values in turn, while %d were provided. %s", c.name, len(args), see(c.name))
	}
	out := value.NewObject(len(args) / 2)
	for i := 0; i < len(args); i += 2 {
		key, ok := args[i].(string)
		if !ok {
			return nil, Errorf("The template language function '%s' expects its parameters at even positions, the keys, to be of type 'String'. The provided value is of type '%s'. %s", c.name, value.TypeName(args[i]), see(c.name))
		}
		out.Set(key, args[i+1])
	}
	return out, nil
}

// parseJSON does not repeat the text in its error: it may hold a secret.
func parseJSON(c *call, args []value.Value) (value.Value, error) {
	text, ok := args[0].(string)
	if !ok {
		return nil, wrongType(c.name, "a string", args[0])
	}
	return jsonText(c, text)
}

func jsonText(c *call, text string) (value.Value, error) {
	n, err := relaxed.Parse([]byte(text))
	if err != nil {
		var syntax *relaxed.SyntaxError
		why := "the text is not JSON"
		if errors.As(err, &syntax) {
			why = syntax.Error()
		}
		return nil, Errorf("The template language function '%s' parameter is not valid. The provided value cannot be parsed: '%s'. %s", c.name, why, see(c.name))
	}
	return n.Value(), nil
}

func sortedMembers(c *call, v value.Value) ([]value.Member, error) {
	o, ok := v.(*value.Object)
	if !ok {
		return nil, wrongType(c.name, "an object", v)
	}
	members := slices.Clone(o.Members())
	slices.SortStableFunc(members, func(a, b value.Member) int { return value.CompareText(a.Name, b.Name) })
	return members, nil
}
