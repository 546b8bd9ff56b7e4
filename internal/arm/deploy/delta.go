package deploy

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/expr"
	"github.com/kustos-io/kustos/internal/arm/template/value"
	"github.com/kustos-io/kustos/internal/ids"
)

// propertyDelta is one difference between a resource before and after.
type propertyDelta struct {
	Path       string          `json:"path"`
	ChangeType string          `json:"propertyChangeType"`
	Before     json.RawMessage `json:"before,omitempty"`
	After      json.RawMessage `json:"after,omitempty"`
	Children   []propertyDelta `json:"children,omitempty"`

	before, after value.Value
}

// written is a live resource once a PUT of body is done: what the body says
// wins. What it leaves out stays as the provider has it, but for tags, which
// every type replaces, and for types that replace the whole resource.
func written(before, body *value.Object, replaced bool) *value.Object {
	out := planned(before, body)
	if !replaced {
		if _, given := body.Get("tags"); !given && before.Object("tags").Len() > 0 {
			out.Delete("tags")
		}
		return out
	}
	kept := value.NewObject(out.Len())
	for _, member := range out.Members() {
		switch strings.ToLower(member.Name) {
		case "location", "tags", "kind", "sku", "plan", "identity", "managedby", "zones", "extendedlocation", "placement", "properties":
			if given, ok := body.Get(member.Name); ok {
				kept.Set(member.Name, onlyGiven(member.Value, given))
			}
		default: // not the caller's to write
			kept.Set(member.Name, member.Value)
		}
	}
	return kept
}

// onlyGiven is v without the members that given has not.
func onlyGiven(v, given value.Value) value.Value {
	switch v := v.(type) {
	case *value.Object:
		g, ok := given.(*value.Object)
		if !ok {
			return v
		}
		out := value.NewObject(v.Len())
		for _, member := range v.Members() {
			if inner, ok := g.Get(member.Name); ok {
				out.Set(member.Name, onlyGiven(member.Value, inner))
			}
		}
		return out
	case []value.Value:
		g, ok := given.([]value.Value)
		if !ok || len(g) != len(v) {
			return v
		}
		out := make([]value.Value, len(v))
		for i := range v {
			out[i] = onlyGiven(v[i], g[i])
		}
		return out
	}
	return v
}

// planned is a live resource with body written over it, member by member.
func planned(before, body *value.Object) *value.Object {
	out := before.Clone()
	for _, member := range body.Members() {
		name := member.Name
		old, had := out.Get(name)
		if had {
			name = spelled(out, name)
		}
		next := member.Value
		if strings.EqualFold(name, "tags") { // written as a whole
			out.Set(name, next)
			continue
		}
		if had && same(old, next) { // the provider's own spelling is not a change
			continue
		}
		a, ok1 := old.(*value.Object)
		b, ok2 := next.(*value.Object)
		if ok1 && ok2 {
			next = planned(a, b)
		}
		if x, ok := old.([]value.Value); ok {
			if y, ok := next.([]value.Value); ok {
				next = plannedArray(x, y)
			}
		}
		out.Set(name, next)
	}
	return out
}

// plannedArray fills in what the provider has added to the elements that stay.
func plannedArray(before, after []value.Value) []value.Value {
	out := make([]value.Value, len(after))
	for i := range after {
		out[i] = after[i]
		if i >= len(before) {
			continue
		}
		a, ok1 := before[i].(*value.Object)
		b, ok2 := after[i].(*value.Object)
		switch {
		case same(before[i], after[i]):
			out[i] = before[i]
		case ok1 && ok2:
			out[i] = planned(a, b)
		}
	}
	return out
}

// spelled is the name under which o has a member that differs only in case.
func spelled(o *value.Object, name string) string {
	for _, member := range o.Members() {
		if member.Name == name {
			return name
		}
	}
	for _, member := range o.Members() {
		if strings.EqualFold(member.Name, name) {
			return member.Name
		}
	}
	return name
}

// same reports whether two values mean the same to a provider: ids, GUIDs and
// locations without case, addresses with and without the final slash.
func same(a, b value.Value) bool {
	if value.Equal(a, b) {
		return true
	}
	switch x := a.(type) {
	case string:
		y, ok := b.(string)
		if !ok {
			return false
		}
		switch {
		case strings.HasPrefix(x, "/"), ids.IsGUID(x):
			return strings.EqualFold(x, y)
		case strings.HasPrefix(x, "https://"):
			return strings.EqualFold(strings.TrimSuffix(x, "/"), strings.TrimSuffix(y, "/")) && strings.Count(x, "/") <= 3
		}
		l := ids.ParseLocation(x)
		return l.Known() && l == ids.ParseLocation(y)
	case int64, float64, *big.Int:
		fa, ok1 := number(a)
		fb, ok2 := number(b)
		return ok1 && ok2 && fa == fb
	case []value.Value:
		y, ok := b.([]value.Value)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !same(x[i], y[i]) {
				return false
			}
		}
		return true
	case *value.Object:
		y, ok := b.(*value.Object)
		if !ok || x.Len() != y.Len() {
			return false
		}
		for _, member := range x.Members() {
			v, ok := y.Get(member.Name)
			if !ok || !same(member.Value, v) {
				return false
			}
		}
		return true
	}
	return false
}

func number(v value.Value) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return f, true
	}
	return 0, false
}

// ignored are the properties of a type that a provider takes and never shows:
// that they are missing before is no change.
func ignored(typ string) map[string]bool {
	switch strings.ToLower(typ) {
	case "microsoft.keyvault/vaults":
		return map[string]bool{"properties.createmode": true}
	case "microsoft.keyvault/vaults/secrets":
		return map[string]bool{"properties.value": true}
	}
	return nil
}

// compare lists the differences of two objects by path.
func compare(before, after *value.Object, path string, skip map[string]bool) []propertyDelta {
	var out []propertyDelta
	for _, member := range before.Members() {
		p := join(path, member.Name)
		next, ok := after.Get(member.Name)
		if !ok {
			out = append(out, propertyDelta{Path: p, ChangeType: changeDelete, Before: value.Raw(member.Value), before: member.Value})
			continue
		}
		out = append(out, compareValue(member.Value, next, p, skip)...)
	}
	for _, member := range after.Members() {
		if _, ok := before.Get(member.Name); ok {
			continue
		}
		p := join(path, member.Name)
		kind := changeCreate
		if skip[strings.ToLower(p)] || isEmpty(member.Value) {
			kind = changeNoEffect
		}
		out = append(out, propertyDelta{Path: p, ChangeType: kind, After: value.Raw(member.Value), after: member.Value})
	}
	return out
}

// isEmpty values that a provider does not show are no change: it has nothing
// to show for them.
func isEmpty(v value.Value) bool {
	switch v := v.(type) {
	case *value.Object:
		for _, member := range v.Members() {
			if !isEmpty(member.Value) {
				return false
			}
		}
		return true
	case []value.Value:
		return len(v) == 0
	}
	return v == nil
}

func compareValue(before, after value.Value, path string, skip map[string]bool) []propertyDelta {
	if same(before, after) {
		return nil
	}
	a, ok1 := before.(*value.Object)
	b, ok2 := after.(*value.Object)
	if ok1 && ok2 {
		return compare(a, b, path, skip)
	}
	x, ok1 := before.([]value.Value)
	y, ok2 := after.([]value.Value)
	if ok1 && ok2 {
		return []propertyDelta{compareArray(x, y, path, skip)}
	}
	return []propertyDelta{{Path: path, ChangeType: changeModify, Before: value.Raw(before), After: value.Raw(after), before: before, after: after}}
}

// compareArray describes an array by its elements, whose paths are indexes.
func compareArray(before, after []value.Value, path string, skip map[string]bool) propertyDelta {
	d := propertyDelta{Path: path, ChangeType: changeArray, before: before, after: after}
	for i := range max(len(before), len(after)) {
		p := strconv.Itoa(i)
		switch {
		case i >= len(before):
			d.Children = append(d.Children, propertyDelta{Path: p, ChangeType: changeCreate, After: value.Raw(after[i])})
		case i >= len(after):
			d.Children = append(d.Children, propertyDelta{Path: p, ChangeType: changeDelete, Before: value.Raw(before[i])})
		default:
			a, ok1 := before[i].(*value.Object)
			b, ok2 := after[i].(*value.Object)
			if ok1 && ok2 {
				if inner := compare(a, b, "", skip); len(inner) > 0 {
					d.Children = append(d.Children, propertyDelta{Path: p, ChangeType: changeModify, Children: inner})
				}
				continue
			}
			d.Children = append(d.Children, compareValue(before[i], after[i], p, skip)...)
		}
	}
	return d
}

// join makes a path: names that are no identifiers stand in brackets.
func join(path, name string) string {
	if e, err := expr.Parse("a()." + name); err != nil || strings.Contains(name, ".") || e.String() != "a()."+name {
		return path + "['" + name + "']"
	}
	if path == "" {
		return name
	}
	return path + "." + name
}
