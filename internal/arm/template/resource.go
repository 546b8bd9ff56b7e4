package template

import (
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/expr"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// deploymentType is the type whose resources are templates themselves.
const deploymentType = "Microsoft.Resources/deployments"

// Resource is one instance of a resource declaration.
type Resource struct {
	// Symbol is the symbolic name (2.0); Loop the copy loop and Index the place in it.
	Symbol, Loop string
	Index        int
	// ID is the full resource id as the template's names spell it.
	ID string
	// Type and Name are as in the template: "Microsoft.Kusto/clusters/databases", "c1/db1".
	Type, Name, APIVersion string
	Location               string
	// Condition is false for a resource that is not to be deployed.
	Condition bool
	// Existing resources are read and never written.
	Existing bool
	// Place of the declaration.
	Line, Column int
	// Path leads to the declaration in the request.
	Path string
	// Needs are the indexes of the resources this one waits for.
	Needs []int
	// Unresolved is the name as an expression when only a running deployment
	// knows it (Partial).
	Unresolved string
	// Nested is the inner template of a deployment, compiled when its
	// parameters are known at this point (always in Partial).
	Nested *Program

	index   int
	node    *relaxed.Node
	loop    *eval.Loop
	parent  *Resource
	explain []string // dependsOn as written
	targets []string // what reference() and list*() read, as written
	serial  int      // instances of the same loop this batch waits for; -1 none
}

// IsDeployment reports whether the resource is a nested deployment.
func (r *Resource) IsDeployment() bool { return strings.EqualFold(r.Type, deploymentType) }

// expansion walks the declarations.
type expansion struct {
	p    *Program
	seen map[string]*Resource
}

// expandResources makes the instances of every declaration and links them.
func (p *Program) expandResources() error {
	p.symbols, p.emptyLoops = map[string][]*Resource{}, map[string]bool{}
	x := &expansion{p: p, seen: map[string]*Resource{}}
	n := p.src.Template.Get("resources")
	path := p.src.Path + ".resources"
	switch n.Kind {
	case relaxed.Array:
		for i, item := range n.Items {
			if err := x.declaration("", item, path+"["+itoa(i)+"]", nil, nil); err != nil {
				return err
			}
		}
	case relaxed.Object:
		for _, m := range n.Members {
			if err := x.declaration(m.Name, m.Node, path+"."+m.Name, nil, nil); err != nil {
				return err
			}
		}
	default:
		if !n.IsNull() {
			return invalid(n, path, "The template resources must be an array. The provided value is of type '%s'. %s", n.TypeName(), seeResources)
		}
	}
	for _, r := range p.Resources {
		if err := p.checkSyntaxOf(r); err != nil {
			return err
		}
	}
	for _, r := range p.Resources {
		if r.IsDeployment() && r.Condition && !r.Existing && r.Unresolved == "" {
			if err := p.checkNested(r); err != nil {
				return err
			}
		}
	}
	if err := p.evaluateBodies(); err != nil {
		return err
	}
	return p.link()
}

// declaration expands one resource, its loop, and its child resources.
func (x *expansion) declaration(symbol string, n *relaxed.Node, path string, parent *Resource, outer *eval.Loop) error {
	if n == nil || n.Kind != relaxed.Object {
		return invalid(n, path, "A template resource must be an object. %s", seeResources)
	}
	if err := x.members(n, path); err != nil {
		return err
	}
	for _, name := range []string{"import", "extension"} {
		if c := n.Get(name); !c.IsNull() {
			return invalid(c, path, "The template resource at line '%d' and column '%d' belongs to an extension, which is not supported: only resources of Azure Resource Manager are. %s", n.Line, n.Column, seeResources)
		}
	}
	env := x.p.env()
	env.Loop = outer
	env.Resources = nil
	c := n.Get("copy")
	if c.IsNull() {
		return x.instance(&Resource{Symbol: symbol, serial: -1}, n, path, parent, outer)
	}
	if parent != nil {
		return invalid(c, path, "The template resource at line '%d' and column '%d' is not valid: copy is not supported for nested resources. %s", n.Line, n.Column, seeCopy)
	}
	loop, err := readCopy(c, path+".copy")
	if err != nil {
		return err
	}
	count, err := loop.size(env, x.p.least())
	if d, ok := deferred(err); ok && x.p.src.Partial { // one stands for all of them
		r := &Resource{Symbol: symbol, Loop: loop.name, serial: -1, Unresolved: d.Error()}
		return x.instance(r, n, path, nil, &eval.Loop{Name: loop.name, Opaque: true, Outer: outer})
	}
	if err != nil {
		return x.refuse(n, path, err)
	}
	batch, err := x.batch(env, c, path, count)
	if err != nil {
		return err
	}
	if count == 0 {
		x.p.emptyLoops[strings.ToLower(loop.name)] = true
		if symbol != "" {
			x.p.emptyLoops[strings.ToLower(symbol)] = true
		}
	}
	for i := range count {
		r := &Resource{Symbol: symbol, Loop: loop.name, Index: i, serial: -1}
		if batch > 0 && i >= batch {
			r.serial = (i/batch - 1) * batch // the first instance of the batch before
		}
		at := path
		if err := x.instance(r, n, at, nil, &eval.Loop{Name: loop.name, Index: int64(i), Outer: outer}); err != nil {
			return err
		}
	}
	return nil
}

// members refuses members that no resource has. The service reads resources
// into a type of its own, so the refusal is of the request's content.
func (x *expansion) members(n *relaxed.Node, path string) error {
	for _, m := range n.Members {
		switch strings.ToLower(m.Name) {
		case "type", "apiversion", "name", "location", "properties", "tags", "dependson", "condition", "copy", "scope", "resources",
			"sku", "kind", "plan", "identity", "zones", "managedby", "extendedlocation", "placement", "comments", "metadata",
			"existing", "import", "extension", "asserts", "assert", "$options", "@options", "subscriptionid", "resourcegroup":
		default:
			return x.p.unknownMember(m, "TemplateResource", path)
		}
	}
	return nil
}

// batch is the size of a serial loop's batches, 0 for a parallel loop.
func (x *expansion) batch(env *eval.Env, c *relaxed.Node, path string, count int) (int, error) {
	mode, err := env.Node(c.Get("mode"))
	if err != nil {
		return 0, x.refuse(c, path, err)
	}
	size, err := env.Node(c.Get("batchSize"))
	if err != nil {
		return 0, x.refuse(c, path, err)
	}
	s, _ := mode.(string)
	switch {
	case mode == nil || strings.EqualFold(s, "parallel"):
		return 0, nil
	case !strings.EqualFold(s, "serial"):
		return 0, invalid(c, path, "The copy mode '%s' at line '%d' and column '%d' is not valid. The supported modes are 'Parallel, Serial'. %s", eval.Render(mode), c.Line, c.Column, seeCopy)
	case size == nil:
		return 1, nil
	}
	n, ok := size.(int64)
	if !ok || n < 1 || count > 0 && n > int64(count) {
		return 0, invalid(c, path, "The copy batch size at line '%d' and column '%d' is not valid: it must be a positive integer that does not exceed the copy count. %s", c.Line, c.Column, seeCopy)
	}
	return int(n), nil
}

// refuse words an evaluation error of a declaration that has no id yet.
func (x *expansion) refuse(n *relaxed.Node, path string, err error) error {
	if !isOurs(err) {
		if d, ok := deferred(err); ok {
			return invalid(n, path, "The template resource at line '%d' and column '%d' is not valid: The template function '%s' is not expected at this location. %s", n.Line, n.Column, d.Function, seeResources)
		}
		return err
	}
	name, _ := n.Get("name").Text()
	return invalid(n, path, "The template resource '%s' at line '%d' and column '%d' is not valid: %s", name, n.Line, n.Column, reason(err))
}

// instance evaluates the members that must be known before a deployment starts.
func (x *expansion) instance(r *Resource, n *relaxed.Node, path string, parent *Resource, loop *eval.Loop) error {
	p := x.p
	r.node, r.loop, r.parent, r.Path, r.Line, r.Column = n, loop, parent, path, n.Line, n.Column
	r.Condition = true
	env := p.resourceEnv(r)
	if c := n.Get("condition"); !c.IsNull() {
		v, err := env.Node(c)
		if d, ok := deferred(err); ok && p.src.Partial {
			r.Unresolved = d.Error()
		} else if err != nil {
			return x.refuse(n, path, err)
		} else if b, ok := v.(bool); ok {
			r.Condition = b
		} else {
			return invalid(c, path, "The template resource at line '%d' and column '%d' is not valid: its condition must be a boolean. The provided value is of type '%s'. %s", n.Line, n.Column, value.TypeName(v), seeResources)
		}
	}
	if b, ok := scalar(n.Get("existing")).(bool); ok {
		r.Existing = b
	}
	err := x.identify(r, env)
	if d, ok := deferred(err); ok && p.src.Partial {
		r.Unresolved = "[" + unresolvedName(env, n, d) + "]"
		err = nil
	} else if err != nil && !r.Condition && isRefusal(err) {
		r.ID, err = "", nil // nobody will ask for the id of what is not deployed
	}
	if err != nil {
		if isOurs(err) || deferredIn(err) {
			return x.refuse(n, path, err)
		}
		return err
	}
	if r.Condition && !r.Existing && r.Unresolved == "" {
		key := strings.ToLower(r.ID)
		if x.seen[key] != nil {
			return invalid(n, path, "The resource '%s/%s' at line '%d' and column '%d' is defined multiple times in a template. %s", r.Type, r.Name, n.Line, n.Column, seeResources)
		}
		x.seen[key] = r
	}
	r.index = len(p.Resources)
	p.Resources = append(p.Resources, r)
	if len(p.Resources) > maxResources {
		return invalid(n, path, "The number of template resources limit exceeded. Limit: '%d' and actual: '%d'. %s", maxResources, len(p.Resources), seeResources)
	}
	if r.Symbol != "" {
		key := strings.ToLower(r.Symbol)
		p.symbols[key] = append(p.symbols[key], r)
	}
	return x.children(r, n, path, loop)
}

func deferredIn(err error) bool { _, ok := deferred(err); return ok }

func unresolvedName(env *eval.Env, n *relaxed.Node, d *eval.Deferred) string {
	if s, ok := n.Get("name").Text(); ok && expr.IsExpression(s) {
		if e, err := expr.Template(s); err == nil {
			return env.Fold(e).String()
		}
	}
	return d.Error()
}

func (x *expansion) children(r *Resource, n *relaxed.Node, path string, loop *eval.Loop) error {
	kids := n.Get("resources")
	if kids.IsNull() || r.IsDeployment() {
		return nil
	}
	switch kids.Kind {
	case relaxed.Array:
		for i, item := range kids.Items {
			if err := x.declaration("", item, path+".resources["+itoa(i)+"]", r, loop); err != nil {
				return err
			}
		}
	case relaxed.Object:
		for _, m := range kids.Members {
			if err := x.declaration(m.Name, m.Node, path+".resources."+m.Name, r, loop); err != nil {
				return err
			}
		}
	default:
		return invalid(kids, path, "The nested resources at line '%d' and column '%d' must be an array. %s", kids.Line, kids.Column, seeResources)
	}
	return nil
}

// resourceEnv is the environment of a resource's own expressions.
func (p *Program) resourceEnv(r *Resource) *eval.Env {
	env := p.env()
	env.Loop = r.loop
	return env
}

// resourceInfo is resourceInfo('symbol').
func (p *Program) resourceInfo(symbol string) (value.Value, error) {
	r := p.bySymbol(symbol)
	if r == nil {
		return nil, eval.Errorf("The resource '%s' is not defined in the template. Please see https://aka.ms/arm-template for usage details.", symbol)
	}
	return value.Of(value.Member{Name: "id", Value: r.ID}, value.Member{Name: "name", Value: r.Name},
		value.Member{Name: "type", Value: r.Type}, value.Member{Name: "apiVersion", Value: r.APIVersion}), nil
}

// bySymbol finds "name" or "loop[3]".
func (p *Program) bySymbol(symbol string) *Resource {
	name, at, indexed := strings.Cut(symbol, "[")
	list := p.symbols[strings.ToLower(name)]
	if indexed {
		for _, r := range list {
			if at == itoa(r.Index)+"]" {
				return r
			}
		}
		return nil
	}
	if len(list) == 1 {
		return list[0]
	}
	return nil
}
