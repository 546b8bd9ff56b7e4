package eval

import (
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// collectionFunctions work on arrays, objects and strings alike.
func collectionFunctions() map[string]*builtin {
	return map[string]*builtin{
		"contains":     {least: 2, most: 2, eager: contains},
		"empty":        {least: 1, most: 1, eager: empty},
		"indexOf":      {least: 2, most: 2, eager: indexOf(false)},
		"lastIndexOf":  {least: 2, most: 2, eager: indexOf(true)},
		"intersection": {builds: true, least: 2, most: -1, eager: intersection},
		"union":        {builds: true, least: 2, most: -1, eager: union},
		"length": {least: 1, most: 1, eager: length, arity: func(name string, n int) error {
			return Errorf("The template language function '%s' expects exactly one parameter: an array, object, or a string the length of which is returned. The function was invoked with '%d' parameters. %s", name, n, see(name))
		}},
		"tryGet": {least: 2, most: -1, eager: tryGet},
	}
}

func contains(c *call, args []value.Value) (value.Value, error) {
	switch x := args[0].(type) {
	case []value.Value:
		for _, item := range x {
			if value.Equal(item, args[1]) {
				return true, nil
			}
		}
		return false, nil
	case *value.Object:
		switch key := args[1].(type) {
		case string:
			_, ok := x.Get(key)
			return ok, nil
		case int64:
			_, ok := x.Get(Render(key))
			return ok, nil
		}
		return nil, wrongArgument(c.name, 1, "String", args[1])
	case string:
		switch args[1].(type) {
		case string, int64, bool:
			return strings.Contains(x, Render(args[1])), nil
		}
		return nil, wrongArgument(c.name, 1, "String", args[1])
	}
	return nil, Errorf("The template language function '%s' expects its first parameter to be an array, an object or a string. The provided value is of type '%s'. %s", c.name, value.TypeName(args[0]), see(c.name))
}

func empty(c *call, args []value.Value) (value.Value, error) {
	switch x := args[0].(type) {
	case nil:
		return true, nil
	case []value.Value:
		return len(x) == 0, nil
	case *value.Object:
		return x.Len() == 0, nil
	case string:
		return x == "", nil
	}
	return nil, Errorf("The template function '%s' expects its parameter to be an object, an array, or a string. The provided value is of type '%s'. %s", c.name, value.TypeName(args[0]), see(c.name))
}

func length(c *call, args []value.Value) (value.Value, error) {
	switch x := args[0].(type) {
	case []value.Value:
		return int64(len(x)), nil
	case *value.Object:
		return int64(x.Len()), nil
	case string:
		return units(x).len(), nil
	}
	return nil, Errorf("The template language function '%s' expects its parameter to be an array, object, or a string. The provided value is of type '%s'. %s", c.name, value.TypeName(args[0]), see(c.name))
}

// indexOf searches strings without case and arrays by deep equality.
func indexOf(fromEnd bool) func(*call, []value.Value) (value.Value, error) {
	return func(c *call, args []value.Value) (value.Value, error) {
		if a, ok := args[0].([]value.Value); ok {
			at := int64(-1)
			for i, item := range a {
				if value.Equal(item, args[1]) {
					at = int64(i)
					if !fromEnd {
						break
					}
				}
			}
			return at, nil
		}
		s, ok1 := args[0].(string)
		sub, ok2 := args[1].(string)
		if !ok1 || !ok2 {
			return nil, wrongTypes(c.name, "string and string", args)
		}
		return indexFold(s, sub, fromEnd), nil
	}
}

// indexFold is the position, in UTF-16 code units, of sub in s without case.
func indexFold(s, sub string, fromEnd bool) int64 {
	hay, needle := utf16.Encode([]rune(toUpper(s))), utf16.Encode([]rune(toUpper(sub)))
	if len(needle) == 0 {
		if fromEnd && len(hay) > 0 {
			return int64(len(hay) - 1)
		}
		return 0
	}
	match := func(at int) bool {
		for i := range needle {
			if hay[at+i] != needle[i] {
				return false
			}
		}
		return true
	}
	if fromEnd {
		for at := len(hay) - len(needle); at >= 0; at-- {
			if match(at) {
				return int64(at)
			}
		}
		return -1
	}
	for at := 0; at+len(needle) <= len(hay); at++ {
		if match(at) {
			return int64(at)
		}
	}
	return -1
}

func mixed(c *call, v value.Value) error {
	return Errorf("The template language function '%s' expects its parameters to be all arrays or all objects. The provided value is of type '%s'. %s", c.name, value.TypeName(v), see(c.name))
}

func intersection(c *call, args []value.Value) (value.Value, error) {
	switch head := args[0].(type) {
	case []value.Value:
		sets := make([]*set, len(args)-1)
		for i, a := range args[1:] {
			items, ok := a.([]value.Value)
			if !ok {
				return nil, mixed(c, a)
			}
			sets[i] = newSet(items)
		}
		out := []value.Value{}
		seen := newSet(nil)
	items:
		for _, item := range head {
			for _, s := range sets {
				if !s.has(item) {
					continue items
				}
			}
			if seen.add(item) {
				out = append(out, item)
			}
		}
		return out, nil
	case *value.Object:
		out := value.NewObject(head.Len())
	members:
		for _, m := range head.Members() {
			for _, a := range args[1:] {
				o, ok := a.(*value.Object)
				if !ok {
					return nil, mixed(c, a)
				}
				if other, ok := o.Get(m.Name); !ok || !value.Equal(m.Value, other) {
					continue members
				}
			}
			out.Set(m.Name, m.Value)
		}
		return out, nil
	}
	return nil, mixed(c, args[0])
}

func union(c *call, args []value.Value) (value.Value, error) {
	var out value.Value
	var seen *set
	for _, a := range args {
		switch a := a.(type) {
		case nil:
		case []value.Value:
			list, ok := out.([]value.Value)
			if !ok && out != nil {
				return nil, mixed(c, a)
			}
			if seen == nil {
				seen = newSet(nil)
				list = []value.Value{}
			}
			for _, item := range a {
				if seen.add(item) {
					list = append(list, item)
				}
			}
			out = list
		case *value.Object:
			o, ok := out.(*value.Object)
			if !ok && out != nil {
				return nil, mixed(c, a)
			}
			out = merge(o, a)
		default:
			return nil, mixed(c, a)
		}
	}
	return out, nil
}

// merge puts b over a: members of b win, objects merge, arrays are replaced.
// Names that differ only in case are the same member.
func merge(a, b *value.Object) *value.Object {
	out := a.Clone()
	for _, m := range b.Members() {
		name := m.Name
		if old, ok := out.Get(name); ok {
			if _, exact := exactMember(out, name); !exact {
				name = foldedName(out, name)
			}
			o1, ok1 := old.(*value.Object)
			o2, ok2 := m.Value.(*value.Object)
			if ok1 && ok2 {
				out.Set(name, merge(o1, o2))
				continue
			}
		}
		out.Set(name, m.Value)
	}
	return out
}

func exactMember(o *value.Object, name string) (value.Value, bool) {
	for _, m := range o.Members() {
		if m.Name == name {
			return m.Value, true
		}
	}
	return nil, false
}

func foldedName(o *value.Object, name string) string {
	for _, m := range o.Members() {
		if strings.EqualFold(m.Name, name) {
			return m.Name
		}
	}
	return name
}

func tryGet(c *call, args []value.Value) (value.Value, error) {
	x := args[0]
	for i, key := range args[1:] {
		switch key := key.(type) {
		case string:
			o, ok := x.(*value.Object)
			if !ok {
				return nil, nil
			}
			if x, ok = o.Get(key); !ok {
				return nil, nil
			}
		case int64:
			a, ok := x.([]value.Value)
			if !ok || key < 0 || key >= int64(len(a)) {
				return nil, nil
			}
			x = a[key]
		default:
			return nil, Errorf("The template language function '%s' expects its %s parameter to be a property name or an array index. The provided value is of type '%s'. %s", c.name, ordinal(i+1), value.TypeName(key), see(c.name))
		}
	}
	return x, nil
}

// set finds deep-equal values.
type set struct{ seen map[string][]value.Value }

func newSet(items []value.Value) *set {
	s := &set{seen: make(map[string][]value.Value, len(items))}
	for _, item := range items {
		s.add(item)
	}
	return s
}

// setKey puts values that may be equal under one key. The member order of
// objects does not count, so objects and arrays go by their size alone.
func setKey(v value.Value) string {
	switch v := v.(type) {
	case *value.Object:
		return "{" + strconv.Itoa(v.Len())
	case []value.Value:
		return "[" + strconv.Itoa(len(v))
	}
	return value.TypeName(v) + value.JSON(v)
}

func (s *set) has(v value.Value) bool {
	for _, old := range s.seen[setKey(v)] {
		if value.Equal(old, v) {
			return true
		}
	}
	return false
}

// add reports whether v was new.
func (s *set) add(v value.Value) bool {
	key := setKey(v)
	for _, old := range s.seen[key] {
		if value.Equal(old, v) {
			return false
		}
	}
	s.seen[key] = append(s.seen[key], v)
	return true
}
