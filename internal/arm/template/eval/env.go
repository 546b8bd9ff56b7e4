package eval

import (
	"time"

	"github.com/kustos-io/kustos/internal/arm/template/expr"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// Env is what an expression may see beyond its own text. A nil member means
// that the functions that need it are not expected at this location.
// An Env is not safe for concurrent use.
type Env struct {
	// Library is the table of functions; it must be set.
	Library *Library
	// Parameters and Variables look a name up (without case).
	Parameters func(name string) (value.Value, error)
	Variables  func(name string) (value.Value, error)
	// Functions finds a user function by its dotted name.
	Functions func(name string) (Function, bool)
	// Scope answers resourceGroup(), subscription(), resourceId() and the like.
	Scope *Scope
	// Deployment answers deployment().
	Deployment func() (value.Value, error)
	// Resources answers what is known about the template's own resources
	// without reading them: resourceInfo('symbol').
	Resources func(symbol string) (value.Value, error)
	// Runtime answers reference(), references() and list*().
	Runtime Runtime
	// Fresh allows newGuid() and utcNow(): the defaults of parameters only.
	Fresh *Fresh
	// Loop is the innermost copy loop around the expression.
	Loop *Loop
	// Partial makes Node keep what only a running deployment can know as an
	// expression instead of failing; see Unresolved.
	Partial bool
	// Unresolved counts the strings that Partial left as expressions.
	Unresolved int
	// Budget bounds the work; nil means no bound.
	Budget *Budget

	lambda *binding
}

// Function is a function defined in a template.
type Function func(args []value.Value) (value.Value, error)

// Fresh feeds the two functions that are not deterministic.
type Fresh struct {
	Now     time.Time
	NewGUID func() string
}

// Loop is one copy loop: its name, the current index, the loop around it.
type Loop struct {
	Name  string
	Index int64
	// ByName loops (property copy) are not what copyIndex() without a name means.
	ByName bool
	// Opaque loops belong to a nested template: their index is not known here.
	Opaque bool
	Outer  *Loop
}

// ScopeKind is where a deployment runs.
type ScopeKind string

// The four scopes.
const (
	ScopeGroup           ScopeKind = "resourceGroup"
	ScopeSubscription    ScopeKind = "subscription"
	ScopeManagementGroup ScopeKind = "managementGroup"
	ScopeTenant          ScopeKind = "tenant"
)

// Scope is the place a template is deployed to.
type Scope struct {
	Kind            ScopeKind
	SubscriptionID  string
	ResourceGroup   string
	ManagementGroup string
	TenantID        string
	// The objects the scope functions return; nil refuses the function.
	Group, Subscription, Management, Tenant, Environment, Deployer value.Value
	// RoleDefinition finds a built-in role's id by its display name; nil refuses the function.
	RoleDefinition func(name string) (id string, ok bool)
	// Providers describes a namespace, or one type of it when typ is not empty,
	// as providers() shows it; nil refuses providers() and pickZones().
	Providers func(namespace, typ string) (v value.Value, ok bool)
}

// ID is the scope's resource id; "" for the tenant.
func (s *Scope) ID() string {
	switch s.Kind {
	case ScopeGroup:
		return "/subscriptions/" + s.SubscriptionID + "/resourceGroups/" + s.ResourceGroup
	case ScopeSubscription:
		return "/subscriptions/" + s.SubscriptionID
	case ScopeManagementGroup:
		return "/providers/Microsoft.Management/managementGroups/" + s.ManagementGroup
	}
	return ""
}

// Runtime reads live resources. An implementation that cannot read them yet
// returns *Deferred.
type Runtime interface {
	// Reference is reference(target[, apiVersion[, 'Full']]).
	Reference(target, apiVersion string, full bool) (value.Value, error)
	// References is references(loop[, 'Full']).
	References(loop string, full bool) (value.Value, error)
	// List is list*(target, apiVersion[, body]); function is the name as written.
	List(function, target, apiVersion string, body value.Value) (value.Value, error)
}

// Deferred says that a value exists only while a deployment runs.
type Deferred struct {
	Function string
	Target   string
	// Expr is the expression that will give the value, when it is not simply
	// the call itself: what a parameter was given by an enclosing template.
	Expr expr.Expr
}

// Error names the function and what it reads.
func (d *Deferred) Error() string {
	return d.Function + " of '" + d.Target + "' is known only while the deployment runs"
}

// binding is one lambda variable; inner lambdas see outer ones.
type binding struct {
	name  string
	value value.Value
	outer *binding
}

// Budget is what evaluation may still cost: a step for every call, node and
// sixty-four bytes or items that are built. It bounds what a small template
// with nested loops can make the service do.
type Budget struct{ Steps int64 }

// NewBudget is the budget of one deployment: a second of work, ten times
// what a template of 800 resources and 10,000 expressions needs in all its phases.
func NewBudget() *Budget { return &Budget{Steps: 5_000_000} }

// Spend takes n steps; the error is an *Error once there are none left.
func (env *Env) Spend(n int64) error {
	if env.Budget == nil {
		return nil
	}
	if env.Budget.Steps -= n; env.Budget.Steps < 0 {
		return Errorf("The template is too complex: evaluating its expressions and copy loops takes too many steps. %s", seeFunctions)
	}
	return nil
}
