package template

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// typeSpec is a declared type: of a parameter, an output, a function's
// parameter, or a part of one of these in language version 2.0.
type typeSpec struct {
	node *relaxed.Node
	// name is string, int, bool, object or array; "" accepts anything.
	name     string
	secure   bool
	nullable bool

	allowed            []value.Value
	minValue, maxValue *int64
	minLength          *int64
	maxLength          *int64

	properties map[string]*relaxed.Node
	order      []string
	additional *relaxed.Node
	items      *relaxed.Node
	prefix     []*relaxed.Node
	pick       string // discriminator property
	mapping    *relaxed.Node
}

// readType reads a declaration, following $ref.
func (p *Program) readType(n *relaxed.Node, path string) (*typeSpec, error) {
	return p.readTypeDepth(n, path, 0)
}

func (p *Program) readTypeDepth(n *relaxed.Node, path string, depth int) (*typeSpec, error) {
	if n == nil || n.Kind != relaxed.Object {
		return nil, invalid(n, path, "A type declaration must be an object. %s", seeParameters)
	}
	if ref := n.Get("$ref"); ref != nil {
		return p.readRef(n, ref, path, depth)
	}
	t := &typeSpec{node: n}
	name, ok := n.Get("type").Text()
	if !ok {
		if p.Symbolic && n.Get("type") == nil {
			return t, t.readConstraints(n, path) // untyped: anything goes
		}
		return nil, invalid(n, path, "The type declaration at line '%d' and column '%d' has no 'type'. %s", n.Line, n.Column, seeParameters)
	}
	switch t.name = strings.ToLower(name); t.name {
	case "string", "int", "bool", "object", "array":
	case "securestring", "secureobject":
		t.secure, t.name = true, strings.TrimPrefix(t.name, "secure")
	default:
		return nil, invalid(n.Get("type"), path, "The type '%s' at line '%d' and column '%d' is not valid. The supported types are 'Array, Bool, Int, Object, SecureObject, SecureString, String'. %s", name, n.Line, n.Column, seeParameters)
	}
	return t, t.readConstraints(n, path)
}

func (p *Program) readRef(n, ref *relaxed.Node, path string, depth int) (*typeSpec, error) {
	target, _ := ref.Text()
	name, ok := strings.CutPrefix(target, "#/definitions/")
	def := p.defs.Get(unescapePointer(name))
	if !ok || def == nil {
		return nil, invalid(ref, path, "The type reference '%s' at line '%d' and column '%d' does not lead to a definition of the template. %s", target, ref.Line, ref.Column, seeParameters)
	}
	if depth > maxTypeDepth {
		return nil, invalid(ref, path, "The type reference '%s' leads back to itself. %s", target, seeParameters)
	}
	t, err := p.readTypeDepth(def, p.src.Path+".definitions."+name, depth+1)
	if err != nil {
		return nil, err
	}
	t.node = n
	return t, t.readConstraints(n, path)
}

func unescapePointer(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "~1", "/"), "~0", "~")
}

// readConstraints adds what n itself says to t.
func (t *typeSpec) readConstraints(n *relaxed.Node, path string) error {
	if b, ok := scalar(n.Get("nullable")).(bool); ok {
		t.nullable = b
	}
	if a := n.Get("allowedValues"); !a.IsNull() {
		if a.Kind != relaxed.Array {
			return invalid(a, path, "The allowedValues must be an array. %s", seeParameters)
		}
		for _, item := range a.Items {
			v := item.Value()
			if s, ok := v.(string); ok {
				v = literal(s)
			}
			t.allowed = append(t.allowed, v)
		}
	}
	for _, c := range []struct {
		name string
		into **int64
	}{{"minValue", &t.minValue}, {"maxValue", &t.maxValue}, {"minLength", &t.minLength}, {"maxLength", &t.maxLength}} {
		m := n.Get(c.name)
		if m.IsNull() {
			continue
		}
		v, ok := m.Scalar.(int64)
		if !ok || m.Kind != relaxed.Scalar {
			return invalid(m, path, "The constraint '%s' at line '%d' and column '%d' must be an integer. %s", c.name, m.Line, m.Column, seeParameters)
		}
		*c.into = &v
	}
	if props := n.Get("properties"); props != nil && props.Kind == relaxed.Object {
		t.properties = map[string]*relaxed.Node{}
		for _, m := range props.Members {
			t.properties[strings.ToLower(m.Name)] = m.Node
			t.order = append(t.order, m.Name)
		}
	}
	if a := n.Get("additionalProperties"); a != nil {
		t.additional = a
	}
	if a := n.Get("items"); a != nil {
		t.items = a
	}
	if a := n.Get("prefixItems"); a != nil && a.Kind == relaxed.Array {
		t.prefix = a.Items
	}
	if d := n.Get("discriminator"); d != nil {
		t.pick, _ = d.Get("propertyName").Text()
		t.mapping = d.Get("mapping")
	}
	return nil
}

func scalar(n *relaxed.Node) value.Value {
	if n == nil || n.Kind != relaxed.Scalar {
		return nil
	}
	return n.Scalar
}

// wireName is the type as responses print it.
func (t *typeSpec) wireName() string {
	names := map[string]string{"string": "String", "int": "Int", "bool": "Bool", "object": "Object", "array": "Array"}
	if t.secure {
		return "Secure" + names[t.name]
	}
	return names[t.name]
}

// wireNameFor is wireName for a value of the type: without a declared type it
// is the value's own.
func (t *typeSpec) wireNameFor(v value.Value) string {
	if t.name != "" {
		return t.wireName()
	}
	switch v.(type) {
	case string:
		return "String"
	case int64, *big.Int:
		return "Int"
	case bool:
		return "Bool"
	case []value.Value:
		return "Array"
	}
	return "Object"
}

// tokenName is the type as errors print what they expect.
func (t *typeSpec) tokenName() string {
	return map[string]string{"string": "String, Uri", "int": "Integer", "bool": "Boolean", "object": "Object", "array": "Array"}[t.name]
}

func (t *typeSpec) accepts(v value.Value) bool {
	switch v.(type) {
	case nil:
		return t.nullable || t.name == ""
	case string:
		return t.name == "string" || t.name == ""
	case int64, *big.Int:
		return t.name == "int" || t.name == ""
	case bool:
		return t.name == "bool" || t.name == ""
	case []value.Value:
		return t.name == "array" || t.name == ""
	case *value.Object:
		return t.name == "object" || t.name == ""
	}
	return t.name == ""
}

// checkParameter checks a parameter's value and words the refusal.
func (t *typeSpec) checkParameter(p *Program, q *Parameter, v value.Value) error {
	if !t.accepts(v) && !p.Symbolic {
		return invalid(q.node, q.path, "Template parameter JToken type is not valid. Expected '%s'. Actual '%s'. %s", t.tokenName(), value.TypeName(v), seeParameters)
	}
	why := t.violation(p, v, "", 0)
	if why == "" {
		return nil
	}
	if p.Symbolic { // this version of the language has words of its own
		return invalid(q.node, q.path, "The provided value for the template parameter '%s' is not valid. %s. %s", q.Name, why, seeParameters)
	}
	shown := ""
	if s, ok := v.(string); ok && !t.secure {
		shown = " '" + s + "'"
	} else if n, ok := v.(int64); ok {
		shown = " '" + strconv.FormatInt(n, 10) + "'"
	}
	see := " " + seeParameters
	if t.allowed != nil && !t.allows(v) {
		see = ""
	}
	return invalid(q.node, q.path, "The provided value%s for the template parameter '%s' at line '%d' and column '%d' is not valid. %s.%s", shown, q.Name, q.node.Line, q.node.Column, why, see)
}

// violation says how v breaks the type; "" when it does not. at leads into v.
func (t *typeSpec) violation(p *Program, v value.Value, at string, depth int) string {
	where := ""
	if at != "" {
		where = " at '" + at + "'"
	}
	if depth > maxTypeDepth {
		return "The value" + where + " is nested too deeply"
	}
	if v == nil && t.nullable {
		return ""
	}
	if !t.accepts(v) {
		return fmt.Sprintf("Expected a value of type '%s'%s, but received a value of type '%s'", t.tokenName(), where, value.TypeName(v))
	}
	if t.allowed != nil && !t.allows(v) {
		list := make([]string, len(t.allowed))
		for i, a := range t.allowed {
			list[i] = eval.Render(a)
		}
		return "The parameter value" + where + " is not part of the allowed value(s): '" + strings.Join(list, ",") + "'"
	}
	switch v := v.(type) {
	case int64:
		if t.minValue != nil && v < *t.minValue {
			return fmt.Sprintf("The value%s should be greater than or equal to '%d'", where, *t.minValue)
		}
		if t.maxValue != nil && v > *t.maxValue {
			return fmt.Sprintf("The value%s should be less than or equal to '%d'", where, *t.maxValue)
		}
	case *big.Int:
		return fmt.Sprintf("The value%s is outside the range of a 64-bit integer", where)
	case string:
		return t.length(int64(len(utf16.Encode([]rune(v)))), where)
	case []value.Value:
		if why := t.length(int64(len(v)), where); why != "" {
			return why
		}
		return t.arrayViolation(p, v, at, where, depth)
	case *value.Object:
		if why := t.length(int64(v.Len()), where); why != "" {
			return why
		}
		return t.objectViolation(p, v, at, where, depth)
	}
	return ""
}

func (t *typeSpec) length(n int64, where string) string {
	if t.minLength != nil && n < *t.minLength {
		return fmt.Sprintf("Length of the value%s should be greater than or equal to '%d'", where, *t.minLength)
	}
	if t.maxLength != nil && n > *t.maxLength {
		return fmt.Sprintf("Length of the value%s should be less than or equal to '%d'", where, *t.maxLength)
	}
	return ""
}

// allows looks v up in the allowed values; strings compare without case. An
// array is allowed when every element is, or when it is itself listed.
func (t *typeSpec) allows(v value.Value) bool {
	for _, a := range t.allowed {
		if s, ok := a.(string); ok {
			if w, ok := v.(string); ok && strings.EqualFold(s, w) {
				return true
			}
		}
		if value.Equal(a, v) {
			return true
		}
	}
	if items, ok := v.([]value.Value); ok {
		for _, item := range items {
			if !t.allows(item) {
				return false
			}
		}
		return true
	}
	return false
}

func (t *typeSpec) part(p *Program, n *relaxed.Node, v value.Value, at string, depth int) string {
	spec, err := p.readTypeDepth(n, at, depth+1)
	if err != nil {
		return strings.TrimSuffix(reason(err), ".")
	}
	return spec.violation(p, v, at, depth+1)
}

func (t *typeSpec) arrayViolation(p *Program, v []value.Value, at, where string, depth int) string {
	if len(v) < len(t.prefix) {
		return fmt.Sprintf("Expected an array%s of at least %d item(s), but received one of %d", where, len(t.prefix), len(v))
	}
	for i, item := range v {
		place := fmt.Sprintf("%s[%d]", at, i)
		switch {
		case i < len(t.prefix):
			if why := t.part(p, t.prefix[i], item, place, depth); why != "" {
				return why
			}
		case scalar(t.items) == false:
			return fmt.Sprintf("Expected an array%s of at most %d item(s), but received one of %d", where, len(t.prefix), len(v))
		case t.items != nil && t.items.Kind == relaxed.Object:
			if why := t.part(p, t.items, item, place, depth); why != "" {
				return why
			}
		}
	}
	return ""
}

func (t *typeSpec) objectViolation(p *Program, v *value.Object, at, where string, depth int) string {
	if t.pick != "" {
		tag, ok := v.Get(t.pick)
		s, isText := tag.(string)
		branch := t.mapping.Get(s)
		if !ok || !isText || branch == nil {
			var known []string
			if t.mapping != nil {
				for _, m := range t.mapping.Members {
					known = append(known, m.Name)
				}
			}
			return fmt.Sprintf("The discriminator property '%s'%s must be one of '%s'", t.pick, where, strings.Join(known, ","))
		}
		spec, err := p.readTypeDepth(branch, at, depth+1)
		if err != nil {
			return strings.TrimSuffix(reason(err), ".")
		}
		if spec.properties[strings.ToLower(t.pick)] == nil { // the tag itself is no additional property
			rest := v.Clone()
			rest.Delete(t.pick)
			v = rest
		}
		return spec.violation(p, v, at, depth+1)
	}
	for _, name := range t.order {
		if _, ok := v.Get(name); ok {
			continue
		}
		spec, err := p.readTypeDepth(t.properties[strings.ToLower(name)], at, depth+1)
		if err != nil {
			return strings.TrimSuffix(reason(err), ".")
		}
		if !spec.nullable {
			return fmt.Sprintf("The value%s is missing the required property '%s'", where, name)
		}
	}
	for _, m := range v.Members() {
		place := strings.TrimPrefix(at+"."+m.Name, ".")
		if n := t.properties[strings.ToLower(m.Name)]; n != nil {
			if why := t.part(p, n, m.Value, place, depth); why != "" {
				return why
			}
			continue
		}
		switch {
		case scalar(t.additional) == false:
			return fmt.Sprintf("The property '%s' is not allowed: the properties are '%s'", place, strings.Join(t.order, ", "))
		case t.additional != nil && t.additional.Kind == relaxed.Object:
			if why := t.part(p, t.additional, m.Value, place, depth); why != "" {
				return why
			}
		}
	}
	return ""
}
