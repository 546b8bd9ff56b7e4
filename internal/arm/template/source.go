package template

import (
	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/expr"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// Source is what Compile works on.
type Source struct {
	// Template is the template's root object; its places are printed in errors.
	Template *relaxed.Node
	// Path leads from the request to the template: "properties.template".
	Path string
	// Given are the caller's parameter values by name, in order.
	Given []Given
	// Library is the table of functions.
	Library *eval.Library
	// Scope is where the resources go.
	Scope *eval.Scope
	// Fresh feeds newGuid() and utcNow().
	Fresh *eval.Fresh
	// Name, Location, Mode and Link describe the deployment for deployment().
	// Location is empty at resource group scope.
	Name, Location, Mode string
	Link                 value.Value
	// Fixed are parameter values computed before (a resumed deployment): they
	// are used as they are, and no default is evaluated again.
	Fixed *value.Object
	// Partial admits parameters and names that only a running deployment
	// knows: the program is then for showing, not for running.
	Partial bool
	// NoEmptyLoops refuses copy counts of 0, as versions of the deployments API
	// before 2019-05-10 do.
	NoEmptyLoops bool
	// Depth counts the templates around this one.
	Depth int
	// Budget bounds the work of this template and those nested in it; nil gives
	// it one of its own.
	Budget *eval.Budget
}

// Given is one parameter value of the caller. Exactly one of Node and Expr is set.
type Given struct {
	Name string
	// Node is the literal value.
	Node *relaxed.Node
	// Expr stands for a value that is not known yet (Partial only).
	Expr expr.Expr
}

// MaxDepth is how deep templates may nest.
const MaxDepth = 16

// Limits of a template.
const (
	maxParameters = 256
	maxVariables  = 256
	maxResources  = 800
	maxOutputs    = 64
	maxCopies     = 800
	// maxResourceSize is in bytes, of one resource with its expressions evaluated.
	maxResourceSize = 1 << 20
)

// Program is a compiled template.
type Program struct {
	// ContentVersion is the template's own version.
	ContentVersion string
	// Symbolic is set for language version 2.0.
	Symbolic bool
	// Hash is the template hash.
	Hash string
	// Parameters are the declared parameters with their values, in order.
	Parameters []Parameter
	// Resources are the expanded resources in the order of the template.
	Resources []*Resource

	src       Source
	template  value.Value // the template as submitted
	params    map[string]int
	variables map[string]*variable
	functions map[string]eval.Function
	defs      *relaxed.Node
	outputs   *relaxed.Node
	symbols   map[string][]*Resource
	// hidden, when set, are the secure parameters that were asked for: a view
	// made by hidingSecrets does not know their values.
	hidden map[string]bool
	// following are the type references that are being looked into.
	following map[string]bool
	// emptyLoops are the names of loops with a count of 0.
	emptyLoops map[string]bool
}

// Parameter is a declared parameter and its value.
type Parameter struct {
	Name string
	// Type as the service prints it: String, SecureString, Int …
	Type   string
	Secure bool
	// Sensitive is set when a part of the value is secure, or all of it.
	Sensitive bool
	Value     value.Value
	// Expr is set instead of Value when the value is not known yet.
	Expr expr.Expr

	node *relaxed.Node
	path string
}

// Compile reads, checks and expands a template.
func Compile(src Source) (*Program, error) {
	if src.Budget == nil {
		src.Budget = eval.NewBudget()
	}
	p := &Program{src: src}
	if src.Depth > MaxDepth {
		return nil, invalid(src.Template, src.Path, "The template is nested more than %d levels deep", MaxDepth)
	}
	for _, step := range []func() error{p.readShape, p.readFunctions, p.bindParameters, p.readVariables, p.expandResources, p.checkOutputs} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// env is the environment of everything that needs no live resource.
func (p *Program) env() *eval.Env {
	return &eval.Env{
		Library: p.src.Library, Budget: p.src.Budget, Scope: p.src.Scope, Deployment: p.deployment, Resources: p.resourceInfo,
		Parameters: p.parameter, Variables: p.variable, Functions: p.function,
	}
}

// deployment is what deployment() returns.
func (p *Program) deployment() (value.Value, error) {
	params := value.NewObject(len(p.Parameters))
	for _, q := range p.Parameters {
		o := value.NewObject(2)
		if !q.Secure && q.Expr == nil {
			o.Set("value", p.Shown(q))
		}
		params.Set(q.Name, o)
	}
	props := value.NewObject(6)
	if p.src.Link != nil {
		props.Set("templateLink", p.src.Link)
	}
	props.Set("template", p.template)
	props.Set("templateHash", p.Hash)
	props.Set("parameters", params)
	props.Set("mode", p.src.Mode)
	props.Set("provisioningState", "Accepted")
	out := value.Of(value.Member{Name: "name", Value: p.src.Name})
	if p.src.Location != "" {
		out.Set("location", p.src.Location)
	}
	out.Set("properties", props)
	return out, nil
}

// Scope is where the program's resources go.
func (p *Program) Scope() *eval.Scope { return p.src.Scope }

// Template is the template as it was submitted.
func (p *Program) Template() value.Value { return p.template }
