package template

import (
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/value"
	"github.com/kustos-io/kustos/internal/ids"
)

// identify computes type, name, api-version, location, scope and id.
func (x *expansion) identify(r *Resource, env *eval.Env) error {
	n := r.node
	text := func(name string, required bool) (string, error) {
		c := n.Get(name)
		if c.IsNull() {
			if required {
				return "", invalid(n, r.Path, "The template resource at line '%d' and column '%d' has no '%s'. %s", n.Line, n.Column, name, seeResources)
			}
			return "", nil
		}
		v, err := env.Node(c)
		if err != nil {
			return "", err
		}
		s, ok := v.(string)
		if !ok && !(v == nil && !required) {
			return "", invalid(c, r.Path, "The template resource at line '%d' and column '%d' is not valid: its '%s' must be a string. The provided value is of type '%s'. %s", n.Line, n.Column, name, value.TypeName(v), seeResources)
		}
		if s == "" && required {
			return "", invalid(c, r.Path, "The template resource at line '%d' and column '%d' is not valid: its '%s' cannot be null or empty. %s", n.Line, n.Column, name, seeResources)
		}
		return s, nil
	}
	var err error
	if r.Type, err = text("type", true); err != nil {
		return err
	}
	r.Type = strings.Trim(r.Type, "/")
	if profile, ok := x.p.src.Template.Get("apiProfile").Text(); ok && n.Get("apiVersion").IsNull() {
		return invalid(n, r.Path, "The template resource at line '%d' and column '%d' has no 'apiVersion', and the api profile '%s' is not supported: give the resource an 'apiVersion' of its own. %s", n.Line, n.Column, profile, seeResources)
	}
	if r.APIVersion, err = text("apiVersion", true); err != nil {
		return err
	}
	if r.Location, err = text("location", false); err != nil {
		return err
	}
	if r.Name, err = text("name", true); err != nil {
		return err
	}
	full := r.parent == nil || strings.Contains(strings.SplitN(r.Type, "/", 2)[0], ".") && strings.Contains(r.Type, "/")
	typeSegments, nameSegments := strings.Count(r.Type, "/"), strings.Count(r.Name, "/")+1
	if !full {
		typeSegments++
	}
	if typeSegments != nameSegments || strings.HasPrefix(r.Name, "/") || strings.HasSuffix(r.Name, "/") {
		return invalid(n, r.Path, "The template resource '%s' for type '%s' at line '%d' and column '%d' has incorrect segment lengths. A nested resource type must have identical number of segments as its resource name. A root resource type must have segment length one greater than its resource name. %s",
			r.Name, r.Type, n.Line, n.Column, seeResources)
	}
	if !full {
		r.Type, r.Name = r.parent.Type+"/"+r.Type, r.parent.Name+"/"+r.Name
	}
	base, err := x.base(r, env)
	if err != nil {
		return err
	}
	r.ID = base + providerPath(r.Type, r.Name)
	if strings.EqualFold(r.Type, "Microsoft.Resources/resourceGroups") && strings.HasPrefix(base, "/subscriptions/") && strings.Count(base, "/") == 2 {
		r.ID = base + "/resourceGroups/" + r.Name
	}
	return nil
}

// providerPath pairs the segments of a type with those of a name.
func providerPath(typ, name string) string {
	types, names := strings.Split(typ, "/"), strings.Split(name, "/")
	var b strings.Builder
	b.WriteString("/providers/" + types[0])
	for i, t := range types[1:] {
		b.WriteString("/" + t + "/" + names[i])
	}
	return b.String()
}

// base is the scope a resource goes to.
func (x *expansion) base(r *Resource, env *eval.Env) (string, error) {
	here := x.p.src.Scope
	get := func(name string) (string, error) {
		v, err := env.Node(r.node.Get(name))
		s, _ := v.(string)
		return s, err
	}
	scope, err := get("scope")
	if err != nil {
		return "", err
	}
	switch {
	case scope == "/":
		return "", nil
	case strings.HasPrefix(scope, "/"):
		return strings.TrimSuffix(scope, "/"), nil
	case scope != "":
		if id, ok := relativeID(scope); ok {
			if strings.HasPrefix(strings.ToLower(scope), "microsoft.management/managementgroups/") {
				return id, nil
			}
			return here.ID() + id, nil
		}
		return "", invalid(r.node.Get("scope"), r.Path, "The template resource '%s' at line '%d' and column '%d' is not valid: the scope '%s' is no resource id. %s", r.Name, r.Line, r.Column, scope, seeResources)
	}
	if r.parent != nil && r.parent.ID != "" && strings.HasPrefix(strings.ToLower(r.Type), strings.ToLower(r.parent.Type)+"/") {
		if cut := strings.LastIndex(strings.ToLower(r.parent.ID), strings.ToLower(providerPath(r.parent.Type, r.parent.Name))); cut >= 0 {
			return r.parent.ID[:cut], nil
		}
	}
	if r.IsDeployment() || r.Existing {
		sub, err := get("subscriptionId")
		if err != nil {
			return "", err
		}
		group, err := get("resourceGroup")
		if err != nil {
			return "", err
		}
		if sub != "" && !ids.IsGUID(sub) {
			return "", invalid(r.node.Get("subscriptionId"), r.Path, "The template resource '%s' at line '%d' and column '%d' is not valid: The provided value '%s' is not valid subscription identifier. %s", r.Name, r.Line, r.Column, sub, seeResources)
		}
		if sub == "" {
			sub = here.SubscriptionID
		}
		switch {
		case group != "":
			return "/subscriptions/" + sub + "/resourceGroups/" + group, nil
		case sub != "" && r.node.Get("subscriptionId") != nil:
			return "/subscriptions/" + sub, nil
		}
	}
	return here.ID(), nil
}

// relativeID turns "Microsoft.Kusto/clusters/c1" into a provider path.
func relativeID(s string) (string, bool) {
	parts := strings.Split(strings.Trim(s, "/"), "/")
	if len(parts) < 3 || len(parts)%2 == 0 || !strings.Contains(parts[0], ".") {
		return "", false
	}
	return "/providers/" + strings.Join(parts, "/"), true
}
