package value

import (
	"math/big"
	"strings"
)

// Value is one of nil (null), bool, int64, *big.Int (an integer outside 64
// bits), float64, string, []Value or *Object.
type Value = any

// Member is one name and value of an object.
type Member struct {
	Name  string
	Value Value
}

// indexFrom is the number of members from which an object looks names up in an index.
const indexFrom = 9

// Object is a JSON object in member order. Names are distinct as written;
// lookups prefer the exact name and fall back to the first one that differs
// only in case, as the template language does. The zero value is empty.
type Object struct {
	members []Member
	exact   map[string]int
	folded  map[string]int
}

// NewObject returns an object with room for n members.
func NewObject(n int) *Object { return &Object{members: make([]Member, 0, n)} }

// Of builds an object from members, the last of two equal names winning.
func Of(members ...Member) *Object {
	o := NewObject(len(members))
	for _, m := range members {
		o.Set(m.Name, m.Value)
	}
	return o
}

// Len is the number of members; it is 0 for a nil object.
func (o *Object) Len() int {
	if o == nil {
		return 0
	}
	return len(o.members)
}

// Members returns the members in order. The slice must not be changed.
func (o *Object) Members() []Member {
	if o == nil {
		return nil
	}
	return o.members
}

func (o *Object) find(name string) int {
	if o.exact == nil {
		for i := range o.members {
			if o.members[i].Name == name {
				return i
			}
		}
		return -1
	}
	if i, ok := o.exact[name]; ok {
		return i
	}
	return -1
}

// Set replaces the member of exactly this name, in place, or appends it.
func (o *Object) Set(name string, v Value) {
	if i := o.find(name); i >= 0 {
		o.members[i].Value = v
		return
	}
	o.members = append(o.members, Member{name, v})
	if o.exact != nil {
		o.index(len(o.members) - 1)
	} else if len(o.members) >= indexFrom {
		o.exact, o.folded = make(map[string]int, 2*indexFrom), make(map[string]int, 2*indexFrom)
		for i := range o.members {
			o.index(i)
		}
	}
}

func (o *Object) index(i int) {
	name := o.members[i].Name
	o.exact[name] = i
	if f := strings.ToLower(name); f != "" || name == "" {
		if _, ok := o.folded[f]; !ok {
			o.folded[f] = i
		}
	}
}

// Get finds a member by name: exactly, else without regard to case.
func (o *Object) Get(name string) (Value, bool) {
	if o == nil {
		return nil, false
	}
	if i := o.find(name); i >= 0 {
		return o.members[i].Value, true
	}
	if o.folded != nil {
		if i, ok := o.folded[strings.ToLower(name)]; ok {
			return o.members[i].Value, true
		}
		return nil, false
	}
	for i := range o.members {
		if strings.EqualFold(o.members[i].Name, name) {
			return o.members[i].Value, true
		}
	}
	return nil, false
}

// Text returns a member that is a string, "" when it is absent or of another kind.
func (o *Object) Text(name string) string {
	v, _ := o.Get(name)
	s, _ := v.(string)
	return s
}

// Object returns a member that is an object, nil when it is absent or of another kind.
func (o *Object) Object(name string) *Object {
	v, _ := o.Get(name)
	c, _ := v.(*Object)
	return c
}

// Array returns a member that is an array, nil when it is absent or of another kind.
func (o *Object) Array(name string) []Value {
	v, _ := o.Get(name)
	a, _ := v.([]Value)
	return a
}

// Delete removes the members whose name equals name without regard to case.
func (o *Object) Delete(name string) {
	kept := o.members[:0:0]
	for _, m := range o.members {
		if !strings.EqualFold(m.Name, name) {
			kept = append(kept, m)
		}
	}
	if len(kept) != len(o.members) {
		*o = *Of(kept...)
	}
}

// Clone copies the object; the member values are shared.
func (o *Object) Clone() *Object {
	c := NewObject(o.Len())
	for _, m := range o.Members() {
		c.Set(m.Name, m.Value)
	}
	return c
}

// Copy copies a value deeply, so that the copy may be changed.
func Copy(v Value) Value {
	switch v := v.(type) {
	case []Value:
		out := make([]Value, len(v))
		for i := range v {
			out[i] = Copy(v[i])
		}
		return out
	case *Object:
		out := NewObject(v.Len())
		for _, m := range v.Members() {
			out.Set(m.Name, Copy(m.Value))
		}
		return out
	}
	return v
}

// TypeName is the service's name of a value's type in error texts: Null,
// Boolean, Integer, Float, String, Array or Object.
func TypeName(v Value) string {
	switch v.(type) {
	case nil:
		return "Null"
	case bool:
		return "Boolean"
	case int64, *big.Int:
		return "Integer"
	case float64:
		return "Float"
	case string:
		return "String"
	case []Value:
		return "Array"
	case *Object:
		return "Object"
	}
	panic("BUG: not a template value")
}

// Equal compares deeply and by type: strings with case, objects without regard
// to member order, 1 and 1.0 as different.
func Equal(a, b Value) bool {
	switch a := a.(type) {
	case nil:
		return b == nil
	case *big.Int:
		c, ok := b.(*big.Int)
		return ok && a.Cmp(c) == 0
	case []Value:
		c, ok := b.([]Value)
		if !ok || len(a) != len(c) {
			return false
		}
		for i := range a {
			if !Equal(a[i], c[i]) {
				return false
			}
		}
		return true
	case *Object:
		c, ok := b.(*Object)
		if !ok || a.Len() != c.Len() {
			return false
		}
		for _, m := range a.Members() {
			i := c.find(m.Name)
			if i < 0 || !Equal(m.Value, c.members[i].Value) {
				return false
			}
		}
		return true
	}
	switch b.(type) {
	case []Value, *Object, *big.Int:
		return false
	}
	return a == b
}

// Weight counts the values below v and v itself, sixty-four bytes of text as
// one more; it stops counting at limit. Values may share parts, so a small one
// can be very heavy.
func Weight(v Value, limit int) int {
	n := 1
	switch v := v.(type) {
	case string:
		n += len(v) / 64
	case []Value:
		for _, item := range v {
			if n >= limit {
				return limit
			}
			n += Weight(item, limit-n)
		}
	case *Object:
		for _, m := range v.Members() {
			if n >= limit {
				return limit
			}
			n += Weight(m.Value, limit-n)
		}
	}
	return min(n, limit)
}
