package ids

import (
	"fmt"
	"strings"
)

// Segment is one type/name pair of a resource id, for example
// {Type: "databases", Name: "db1"}. Name is empty for a collection.
type Segment struct {
	Type string
	Name string
}

// ID is a parsed ARM resource id or scope. The zero value is the tenant scope "/".
//
// Shapes:
//
//	/                                                             tenant
//	/subscriptions/{s}                                            subscription
//	/subscriptions/{s}/resourceGroups/{g}                         resource group
//	{scope}/providers/{Namespace}/{type}/{name}[/{type}/{name}…]  resource
//	{scope}/providers/{Namespace}/{type}                          collection
//
// An extension resource (a role assignment on a vault) has the resource it
// extends as Parent, and its own Namespace and Segments.
type ID struct {
	Subscription  string
	ResourceGroup string
	Parent        *ID // set for an extension resource: the resource it is attached to
	Namespace     string
	Segments      []Segment
}

// Parse reads a resource id or scope. Segment keywords are matched without
// case; empty segments ("//") are dropped, as clients send them. The error
// names the text that is not an id.
func Parse(text string) (ID, error) {
	parts := make([]string, 0, 12)
	for _, p := range strings.Split(text, "/") {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if !strings.HasPrefix(text, "/") {
		return ID{}, fmt.Errorf("resource id %q does not begin with '/'", text)
	}
	var id ID
	if len(parts) > 0 && strings.EqualFold(parts[0], "subscriptions") {
		if len(parts) < 2 {
			return ID{}, fmt.Errorf("resource id %q names no subscription", text)
		}
		id.Subscription, parts = parts[1], parts[2:]
		if len(parts) > 0 && strings.EqualFold(parts[0], "resourceGroups") {
			if len(parts) < 2 {
				return ID{}, fmt.Errorf("resource id %q names no resource group", text)
			}
			id.ResourceGroup, parts = parts[1], parts[2:]
		}
	}
	for len(parts) > 0 {
		if !strings.EqualFold(parts[0], "providers") || len(parts) < 2 {
			return ID{}, fmt.Errorf("resource id %q has no provider where %q stands", text, parts[0])
		}
		if id.Namespace != "" { // what was read so far is the resource being extended
			parent := id
			id = ID{Subscription: parent.Subscription, ResourceGroup: parent.ResourceGroup, Parent: &parent}
		}
		id.Namespace, parts = parts[1], parts[2:]
		for len(parts) > 0 && !strings.EqualFold(parts[0], "providers") {
			seg := Segment{Type: parts[0]}
			parts = parts[1:]
			if len(parts) > 0 && !strings.EqualFold(parts[0], "providers") {
				seg.Name, parts = parts[0], parts[1:]
			}
			id.Segments = append(id.Segments, seg)
		}
	}
	return id, nil
}

// Scope returns what the resource lives in: the extended resource, the
// resource group, the subscription or the tenant.
func (id ID) Scope() ID {
	if id.Parent != nil {
		return *id.Parent
	}
	return ID{Subscription: id.Subscription, ResourceGroup: id.ResourceGroup}
}

// IsResource reports whether the id names a single resource of a provider.
func (id ID) IsResource() bool {
	return id.Namespace != "" && len(id.Segments) > 0 && id.Segments[len(id.Segments)-1].Name != ""
}

// IsCollection reports whether the id ends in a type without a name.
func (id ID) IsCollection() bool {
	return id.Namespace != "" && len(id.Segments) > 0 && id.Segments[len(id.Segments)-1].Name == ""
}

// TypePath is the type without the namespace, as written: "clusters/databases".
func (id ID) TypePath() string {
	types := make([]string, len(id.Segments))
	for i, s := range id.Segments {
		types[i] = s.Type
	}
	return strings.Join(types, "/")
}

// Type is the full resource type as written: "Microsoft.Kusto/clusters/databases".
// It is empty for a bare scope.
func (id ID) Type() string {
	if id.Namespace == "" {
		return ""
	}
	if len(id.Segments) == 0 {
		return id.Namespace
	}
	return id.Namespace + "/" + id.TypePath()
}

// Names are the segment names from the outermost to the innermost.
func (id ID) Names() []string {
	names := make([]string, len(id.Segments))
	for i, s := range id.Segments {
		names[i] = s.Name
	}
	return names
}

// Name is the name of the last segment, "" when there is none.
func (id ID) Name() string {
	if len(id.Segments) == 0 {
		return ""
	}
	return id.Segments[len(id.Segments)-1].Name
}

// ParentResource is the id with the last segment cut off; ok is false for a
// top-level resource.
func (id ID) ParentResource() (parent ID, ok bool) {
	if len(id.Segments) < 2 {
		return ID{}, false
	}
	parent = id
	parent.Segments = id.Segments[:len(id.Segments)-1]
	return parent, true
}

// Child returns the id one level below: id + "/" + typ + "/" + name.
func (id ID) Child(typ, name string) ID {
	child := id
	child.Segments = append(append([]Segment(nil), id.Segments...), Segment{Type: typ, Name: name})
	return child
}

// String prints the id the way Azure does: "resourceGroups" in camel case,
// everything else as written.
func (id ID) String() string {
	var b strings.Builder
	if id.Parent != nil {
		b.WriteString(id.Parent.String())
	} else {
		if id.Subscription != "" {
			b.WriteString("/subscriptions/" + id.Subscription)
		}
		if id.ResourceGroup != "" {
			b.WriteString("/resourceGroups/" + id.ResourceGroup)
		}
	}
	if id.Namespace != "" {
		b.WriteString("/providers/" + id.Namespace)
	}
	for _, s := range id.Segments {
		b.WriteString("/" + s.Type)
		if s.Name != "" {
			b.WriteString("/" + s.Name)
		}
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

// Key is the id in lower case: two ids name the same thing if and only if
// their keys are equal.
func (id ID) Key() string { return strings.ToLower(id.String()) }
