package eval

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kustos-io/kustos/internal/arm/template/value"
)

func stringFunctions() map[string]*builtin {
	return map[string]*builtin{
		"startsWith": {least: 2, most: 2, eager: affix(strings.HasPrefix)},
		"endsWith":   {least: 2, most: 2, eager: affix(strings.HasSuffix)},
		"format":     {least: 1, most: -1, eager: format},
		"like":       {least: 2, most: 2, eager: like},
		"padLeft": {least: 2, most: 3, eager: padLeft, arity: func(name string, n int) error {
			return Errorf("Unable to evaluate template language function '%s': function requires minimum two and maximum three arguments while '%d' was provided. %s", name, n, padSyntax(name))
		}},
		"replace": {least: 3, most: 3, eager: replace},
		"split": {least: 2, most: 2, eager: split, arity: func(name string, _ int) error {
			return Errorf("The template language function '%s' expects exactly '2' parameters. %s", name, see(name))
		}},
		"string":    {least: 1, most: 1, eager: toString},
		"substring": {least: 2, most: 3, eager: substring},
		"toLower":   {least: 1, most: 1, eager: onText(toLower)},
		"toUpper":   {least: 1, most: 1, eager: onText(toUpper)},
		"trim":      {least: 1, most: 1, eager: onText(func(s string) string { return strings.TrimFunc(s, unicode.IsSpace) })},
	}
}

// onText is a function of one string.
func onText(fn func(string) string) func(*call, []value.Value) (value.Value, error) {
	return func(c *call, args []value.Value) (value.Value, error) {
		s, ok := args[0].(string)
		if !ok {
			return nil, wrongType(c.name, "of type 'String'", args[0])
		}
		return fn(s), nil
	}
}

func affix(has func(s, affix string) bool) func(*call, []value.Value) (value.Value, error) {
	return func(c *call, args []value.Value) (value.Value, error) {
		s, ok1 := args[0].(string)
		x, ok2 := args[1].(string)
		if !ok1 || !ok2 {
			return nil, wrongTypes(c.name, "string and string", args)
		}
		return has(toUpper(s), toUpper(x)), nil
	}
}

// like matches a string, without case, against a pattern in which '*' stands
// for any number of characters.
func like(c *call, args []value.Value) (value.Value, error) {
	s, ok1 := args[0].(string)
	pattern, ok2 := args[1].(string)
	if !ok1 || !ok2 {
		return nil, wrongTypes(c.name, "string and string", args)
	}
	s = toUpper(s)
	parts := strings.Split(toUpper(pattern), "*")
	if len(parts) == 1 {
		return s == parts[0], nil
	}
	rest, ok := strings.CutPrefix(s, parts[0])
	if !ok {
		return false, nil
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false, nil
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, last), nil
}

func padSyntax(name string) string {
	return "The syntax is padLeft(string, totalWidth [, paddingChar]). Please see https://aka.ms/arm-resource-functions/#" + strings.ToLower(name) + " for usage details."
}

// maxPad is the largest width padLeft accepts.
const maxPad = 16

func padLeft(c *call, args []value.Value) (value.Value, error) {
	fail := func(which, format string, arg any) error {
		return Errorf("Unable to evaluate template language function '%s': the %s parameter is invalid. "+format+" %s", c.name, which, arg, padSyntax(c.name))
	}
	var s string
	switch x := args[0].(type) {
	case string:
		s = x
	case int64:
		s = Render(x)
	default:
		return nil, fail("first", "The source string must be a String or integer type, while '%s' was provided.", value.TypeName(x))
	}
	width, ok := args[1].(int64)
	if !ok {
		return nil, fail("second", "Total width must be an integer type, while '%s' was provided.", value.TypeName(args[1]))
	}
	pad := " "
	if len(args) == 3 {
		if pad, ok = args[2].(string); !ok {
			return nil, fail("third", "The padding character must be a string type, while '%s' was provided.", value.TypeName(args[2]))
		}
		if units(pad).len() != 1 {
			return nil, fail("third", "The padding character must be a single character, while '%s' was provided.", pad)
		}
	}
	if width <= 0 || width > maxPad {
		return nil, fail("second", "Total width must be a positive integer value and not greater than '16', while '%d' was provided.", width)
	}
	if n := width - units(s).len(); n > 0 {
		s = strings.Repeat(pad, int(n)) + s
	}
	return s, nil
}

func replace(c *call, args []value.Value) (value.Value, error) {
	var s [3]string
	for i, a := range args {
		text, ok := a.(string)
		if !ok {
			return nil, wrongArgument(c.name, i, "String", a)
		}
		s[i] = text
	}
	if s[1] == "" {
		return nil, notValid(c.name, "The string to be replaced must not be empty.")
	}
	if n := strings.Count(s[0], s[1]); n > 0 {
		if err := tooLong(c, len(s[0])+n*len(s[2])); err != nil {
			return nil, err
		}
	}
	return strings.ReplaceAll(s[0], s[1], s[2]), nil
}

func split(c *call, args []value.Value) (value.Value, error) {
	s, ok := args[0].(string)
	if !ok {
		return nil, wrongArgument(c.name, 0, "String", args[0])
	}
	var seps []string
	switch d := args[1].(type) {
	case string:
		seps = []string{d}
	case []value.Value:
		for _, item := range d {
			sep, ok := item.(string)
			if !ok {
				return nil, wrongArgument(c.name, 1, "String or Array of Strings", item)
			}
			seps = append(seps, sep)
		}
	default:
		return nil, wrongArgument(c.name, 1, "String or Array of Strings", d)
	}
	out := []value.Value{}
	start := 0
	for i := 0; i < len(s); {
		step := 0
		for _, sep := range seps {
			if sep != "" && strings.HasPrefix(s[i:], sep) {
				step = len(sep)
				break
			}
		}
		if step == 0 {
			_, size := utf8.DecodeRuneInString(s[i:])
			i += size
			continue
		}
		out = append(out, s[start:i])
		i += step
		start = i
	}
	return append(out, s[start:]), nil
}

func toString(_ *call, args []value.Value) (value.Value, error) {
	switch x := args[0].(type) {
	case []value.Value, *value.Object:
		return value.JSON(x), nil
	}
	return Render(args[0]), nil
}

func substring(c *call, args []value.Value) (value.Value, error) {
	s, ok := args[0].(string)
	if !ok {
		return nil, wrongArgument(c.name, 0, "String", args[0])
	}
	u := units(s)
	from, ok := args[1].(int64)
	if !ok {
		return nil, wrongArgument(c.name, 1, "Integer", args[1])
	}
	n := u.len() - from
	if len(args) == 3 {
		if n, ok = args[2].(int64); !ok {
			return nil, wrongArgument(c.name, 2, "Integer", args[2])
		}
	}
	if from < 0 || n < 0 || from > u.len() || n > u.len()-from {
		return nil, Errorf("Unable to evaluate the template language function '%s'. The index and length parameters must refer to a location within the string. The index parameter: '%d', the length parameter: '%d', the length of the string parameter: '%d'. %s", c.name, from, n, u.len(), see(c.name))
	}
	return u.slice(from, from+n), nil
}
