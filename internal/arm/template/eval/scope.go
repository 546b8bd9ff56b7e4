package eval

import (
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/value"
	"github.com/kustos-io/kustos/internal/ids"
)

// scopeFunctions say where a template is deployed, and make resource ids.
func scopeFunctions() map[string]*builtin {
	return map[string]*builtin{
		"resourceGroup":   {eager: scopeObject(func(s *Scope) value.Value { return s.Group })},
		"subscription":    {eager: scopeObject(func(s *Scope) value.Value { return s.Subscription })},
		"managementGroup": {eager: scopeObject(func(s *Scope) value.Value { return s.Management })},
		"tenant":          {eager: scopeObject(func(s *Scope) value.Value { return s.Tenant })},

		"resourceId":                {least: 1, most: -1, arity: resourceArity, eager: resourceID},
		"subscriptionResourceId":    {least: 1, most: -1, arity: resourceArity, eager: subscriptionResourceID},
		"tenantResourceId":          {least: 1, most: -1, arity: resourceArity, eager: tenantResourceID},
		"managementGroupResourceId": {least: 1, most: -1, arity: resourceArity, eager: managementGroupResourceID},
		"extensionResourceId":       {least: 2, most: -1, arity: resourceArity, eager: extensionResourceID},
		"roleDefinitions":           {least: 1, most: 1, eager: roleDefinition},
	}
}

// resourceArity refuses calls without a type; the segment check says how many
// names a type wants.
func resourceArity(name string, n int) error {
	return Errorf("Unable to evaluate template language function '%s': function requires a resource type and one name for each of its segments while %d argument(s) were provided. %s", name, n, see(name))
}

func texts(c *call, args []value.Value) ([]string, error) {
	out := make([]string, len(args))
	for i, a := range args {
		s, ok := a.(string)
		if !ok {
			return nil, Errorf("Unable to evaluate template language function '%s': the parameters must be strings. The %s parameter is of type '%s'. %s", c.name, ordinal(i), value.TypeName(a), see(c.name))
		}
		out[i] = s
	}
	return out, nil
}

// typeAt finds the resource type among at most extra leading arguments.
func typeAt(c *call, args []string, extra int) (int, error) {
	for i := 0; i <= extra && i < len(args); i++ {
		if strings.Contains(args[i], "/") {
			return i, nil
		}
	}
	return 0, Errorf("Unable to evaluate template language function '%s': the parameters do not contain a fully qualified resource type such as 'Microsoft.Kusto/clusters'. %s", c.name, see(c.name))
}

// providerPath is /providers/{namespace}/{type}/{name}….
func providerPath(c *call, typeName string, names []string) (string, error) {
	segments := strings.Split(strings.Trim(typeName, "/"), "/")
	if len(segments) < 2 || len(names) != len(segments)-1 {
		return "", Errorf("Unable to evaluate template language function '%s': the type '%s' requires '%d' resource name argument(s). %s", c.name, typeName, max(1, len(segments)-1), see(c.name))
	}
	var b strings.Builder
	b.WriteString("/providers/" + segments[0])
	for i, s := range segments[1:] {
		b.WriteString("/" + s + "/" + names[i])
	}
	return b.String(), nil
}

func badSubscription(c *call, id string) error {
	return Errorf("The provided value '%s' is not valid subscription identifier. %s", id, see(c.name))
}

// resourceID is resourceId([subscription,] [group,] type, name…).
func resourceID(c *call, args []value.Value) (value.Value, error) {
	if c.env.Scope == nil {
		return nil, misplaced(c.name)
	}
	s, err := texts(c, args)
	if err != nil {
		return nil, err
	}
	at, err := typeAt(c, s, 2)
	if err != nil {
		return nil, err
	}
	scope := *c.env.Scope
	switch at {
	case 2:
		scope.SubscriptionID, scope.ResourceGroup, scope.Kind = s[0], s[1], ScopeGroup
		if !ids.IsGUID(s[0]) {
			return nil, badSubscription(c, s[0])
		}
	case 1:
		if scope.Kind == ScopeGroup {
			scope.ResourceGroup = s[0]
			break
		}
		if !ids.IsGUID(s[0]) {
			return nil, badSubscription(c, s[0])
		}
		scope.SubscriptionID, scope.Kind = s[0], ScopeSubscription
	}
	path, err := providerPath(c, s[at], s[at+1:])
	if err != nil {
		return nil, err
	}
	if scope.Kind == ScopeManagementGroup { // resourceId there means the tenant
		return path, nil
	}
	return scope.ID() + path, nil
}

func subscriptionResourceID(c *call, args []value.Value) (value.Value, error) {
	if c.env.Scope == nil {
		return nil, misplaced(c.name)
	}
	s, err := texts(c, args)
	if err != nil {
		return nil, err
	}
	at, err := typeAt(c, s, 1)
	if err != nil {
		return nil, err
	}
	sub := c.env.Scope.SubscriptionID
	if at == 1 {
		sub = s[0]
	}
	if !ids.IsGUID(sub) {
		if at == 0 {
			return nil, misplaced(c.name)
		}
		return nil, badSubscription(c, sub)
	}
	path, err := providerPath(c, s[at], s[at+1:])
	if err != nil {
		return nil, err
	}
	return "/subscriptions/" + sub + path, nil
}

func tenantResourceID(c *call, args []value.Value) (value.Value, error) {
	s, err := texts(c, args)
	if err != nil {
		return nil, err
	}
	at, err := typeAt(c, s, 0)
	if err != nil {
		return nil, err
	}
	return text(providerPath(c, s[at], s[at+1:]))
}

// text keeps a typed nil out of a Value.
func text(s string, err error) (value.Value, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

func managementGroupResourceID(c *call, args []value.Value) (value.Value, error) {
	s, err := texts(c, args)
	if err != nil {
		return nil, err
	}
	at, err := typeAt(c, s, 1)
	if err != nil {
		return nil, err
	}
	group := ""
	if c.env.Scope != nil {
		group = c.env.Scope.ManagementGroup
	}
	if at == 1 {
		group = s[0]
	}
	if group == "" {
		return nil, misplaced(c.name)
	}
	path, err := providerPath(c, s[at], s[at+1:])
	if err != nil {
		return nil, err
	}
	return "/providers/Microsoft.Management/managementGroups/" + group + path, nil
}

func extensionResourceID(c *call, args []value.Value) (value.Value, error) {
	s, err := texts(c, args)
	if err != nil {
		return nil, err
	}
	path, err := providerPath(c, s[1], s[2:])
	if err != nil {
		return nil, err
	}
	return strings.TrimSuffix(s[0], "/") + path, nil
}

func roleDefinition(c *call, args []value.Value) (value.Value, error) {
	name, ok := args[0].(string)
	if !ok {
		return nil, wrongType(c.name, "of type 'String'", args[0])
	}
	if c.env.Scope == nil || c.env.Scope.RoleDefinition == nil {
		return nil, misplaced(c.name)
	}
	guid, ok := c.env.Scope.RoleDefinition(name)
	if !ok {
		return nil, Errorf("The template language function '%s' does not know a built-in role named '%s'. %s", c.name, name, see(c.name))
	}
	base := ""
	if c.env.Scope.SubscriptionID != "" {
		base = "/subscriptions/" + c.env.Scope.SubscriptionID
	}
	return value.Of(value.Member{Name: "id", Value: base + "/providers/Microsoft.Authorization/roleDefinitions/" + guid},
		value.Member{Name: "roleDefinitionId", Value: guid}), nil
}
