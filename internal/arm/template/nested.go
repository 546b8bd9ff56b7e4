package template

import (
	"net/url"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/expr"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// isInner reports whether a nested template has a scope of its own.
func isInner(props *relaxed.Node) bool {
	s, _ := props.Get("expressionEvaluationOptions").Get("scope").Text()
	return strings.EqualFold(s, "inner") || props.Get("template").IsNull()
}

// deploymentProperties evaluates the properties of a nested deployment. Its
// template is not evaluated: with inner scope it is handed on as it is, with
// outer scope what belongs to this template is filled in first.
func (p *Program) deploymentProperties(env *eval.Env, r *Resource, n *relaxed.Node) (value.Value, error) {
	if n.Kind != relaxed.Object {
		return nil, invalid(n, r.Path, "The template resource '%s' at line '%d' and column '%d' is not valid: the properties of a deployment must be an object. %s", r.Name, r.Line, r.Column, seeResources)
	}
	out := value.NewObject(len(n.Members))
	for _, m := range n.Members {
		switch strings.ToLower(m.Name) {
		case "template":
			t := m.Node
			if !isInner(n) {
				var secure []Parameter
				var err error
				if t, secure, err = p.foldOuter(env, r, t); err != nil {
					return nil, err
				}
				if len(secure) > 0 {
					given := value.NewObject(len(secure))
					for _, q := range secure {
						given.Set(q.Name, value.Of(value.Member{Name: "value", Value: q.Value}))
					}
					out.Set("parameters", given)
				}
			}
			out.Set("template", t.Value())
		case "expressionevaluationoptions": // done here
		case "parameters":
			if !isInner(n) { // an outer template has none of its own
				continue
			}
			v, err := p.node(env, m.Node, true)
			if err != nil {
				return nil, err
			}
			out.Set(m.Name, v)
		case "templatelink":
			l, err := p.templateLink(env, r, m.Node)
			if err != nil {
				return nil, err
			}
			out.Set(m.Name, l)
		default:
			v, err := p.node(env, m.Node, true)
			if err != nil {
				return nil, err
			}
			out.Set(m.Name, v)
		}
	}
	return out, nil
}

// templateLink evaluates a link; a relativePath becomes the address of a file
// next to this template.
func (p *Program) templateLink(env *eval.Env, r *Resource, n *relaxed.Node) (value.Value, error) {
	v, err := p.node(env, n, true)
	o, ok := v.(*value.Object)
	if err != nil || !ok {
		return v, err
	}
	relative := o.Text("relativePath")
	if relative == "" {
		return v, nil
	}
	own, _ := p.src.Link.(*value.Object)
	base, err1 := url.Parse(own.Text("uri"))
	ref, err2 := url.Parse(relative)
	if own == nil || err1 != nil || err2 != nil || ref.IsAbs() || ref.Host != "" {
		return nil, invalid(n, r.Path, "The template resource '%s' at line '%d' and column '%d' is not valid: the relativePath '%s' needs a template that was itself read from a link. Please see https://aka.ms/arm-deploy for usage details.", r.Name, r.Line, r.Column, relative)
	}
	out := o.Clone()
	out.Delete("relativePath")
	out.Set("uri", base.ResolveReference(ref).String())
	return out, nil
}

// foldOuter fills the values of this template into a nested one with outer
// scope, which cannot have parameters or variables of its own. The values of
// secure parameters are not written into it: what reads them goes on doing so,
// and they are returned for the nested deployment to be given.
func (p *Program) foldOuter(env *eval.Env, r *Resource, n *relaxed.Node) (*relaxed.Node, []Parameter, error) {
	if n.Kind != relaxed.Object {
		return n, nil, nil
	}
	view := p.hidingSecrets()
	hiding := view.resourceEnv(r)
	hiding.Runtime, hiding.Partial = env.Runtime, env.Partial
	out := &relaxed.Node{Line: n.Line, Column: n.Column, Kind: relaxed.Object}
	for _, m := range n.Members {
		switch strings.ToLower(m.Name) {
		case "parameters", "variables", "functions", "definitions":
			continue
		case "resources", "outputs":
			c, err := view.foldNode(hiding, m.Node)
			if err != nil {
				return nil, nil, err
			}
			out.Members = append(out.Members, relaxed.Member{Name: m.Name, Node: c})
		default:
			out.Members = append(out.Members, m)
		}
	}
	inPart := false
	var secure []Parameter
	declared := value.NewObject(0)
	for _, q := range p.Parameters {
		if view.hidden[q.Name] {
			secure = append(secure, q)
			declaration := value.Of(value.Member{Name: "type", Value: q.Type})
			if !q.Secure { // only a part is: the whole type says which
				inPart = true
				declaration, _ = value.Copy(q.node.Value()).(*value.Object)
				declaration.Delete("defaultValue")
			}
			declared.Set(q.Name, declaration)
		}
	}
	if len(secure) > 0 {
		out.Members = append(out.Members, relaxed.Member{Name: "parameters", Node: relaxed.FromValue(declared, n.Line, n.Column)})
		if d := p.src.Template.Get("definitions"); inPart && !d.IsNull() {
			out.Members = append(out.Members, relaxed.Member{Name: "definitions", Node: d})
		}
		if f := p.src.Template.Get("functions"); !f.IsNull() { // they may be called with a secret
			out.Members = append(out.Members, relaxed.Member{Name: "functions", Node: f})
		}
	}
	return out, secure, nil
}

// hidingSecrets is this program with its secure parameters not known.
func (p *Program) hidingSecrets() *Program {
	view := *p
	view.hidden = map[string]bool{}
	view.variables = make(map[string]*variable, len(p.variables))
	for k, v := range p.variables {
		view.variables[k] = &variable{name: v.name, node: v.node, loop: v.loop}
	}
	return &view
}

func (p *Program) foldNode(env *eval.Env, n *relaxed.Node) (*relaxed.Node, error) {
	out := &relaxed.Node{Line: n.Line, Column: n.Column, Kind: n.Kind, Scalar: n.Scalar}
	switch n.Kind {
	case relaxed.Array:
		out.Items = make([]*relaxed.Node, len(n.Items))
		for i, item := range n.Items {
			c, err := p.foldNode(env, item)
			if err != nil {
				return nil, err
			}
			out.Items[i] = c
		}
	case relaxed.Object:
		outer := env.Loop
		if loops, ok := copies(n); ok { // the indexes of the inner loops are not known here
			for _, l := range loops {
				env.Loop = &eval.Loop{Name: l.name, ByName: true, Opaque: true, Outer: env.Loop}
			}
		} else if c := n.Get("copy"); c != nil && c.Kind == relaxed.Object && c.Get("count") != nil {
			name, _ := c.Get("name").Text()
			env.Loop = &eval.Loop{Name: name, Opaque: true, Outer: env.Loop}
		}
		defer func() { env.Loop = outer }()
		if isInnerDeployment(n) {
			return p.foldInner(env, n)
		}
		for _, m := range n.Members {
			c, err := p.foldNode(env, m.Node)
			if err != nil {
				return nil, err
			}
			out.Members = append(out.Members, relaxed.Member{Name: m.Name, Node: c})
		}
	default:
		s, ok := n.Scalar.(string)
		if !ok || !expr.IsExpression(s) {
			return out, nil
		}
		e, err := expr.Template(s)
		if err != nil {
			return nil, err
		}
		folded := env.Fold(e)
		if t, ok := folded.(*expr.Text); ok {
			out.Scalar = expr.Escape(t.Value)
			return out, nil
		}
		if v, ok := constantValue(folded); ok {
			return relaxed.FromValue(escapeStrings(v), n.Line, n.Column), nil
		}
		out.Scalar = "[" + folded.String() + "]"
	}
	return out, nil
}

// constantValue reads back what Fold made of a value that was known.
func constantValue(e expr.Expr) (value.Value, bool) {
	switch e := e.(type) {
	case *expr.Int:
		return e.Value, true
	case *expr.Call:
		switch {
		case len(e.Args) == 0 && e.Name == "true":
			return true, true
		case len(e.Args) == 0 && e.Name == "false":
			return false, true
		case len(e.Args) == 0 && e.Name == "null":
			return nil, true
		case len(e.Args) == 1 && e.Name == "json":
			if t, ok := e.Args[0].(*expr.Text); ok {
				v, err := value.FromJSON([]byte(t.Value))
				return v, err == nil
			}
		}
	}
	return nil, false
}

// escapeStrings makes a value mean itself inside a template.
func escapeStrings(v value.Value) value.Value {
	switch v := v.(type) {
	case string:
		return expr.Escape(v)
	case []value.Value:
		out := make([]value.Value, len(v))
		for i := range v {
			out[i] = escapeStrings(v[i])
		}
		return out
	case *value.Object:
		out := value.NewObject(v.Len())
		for _, m := range v.Members() {
			out.Set(expr.Escape(m.Name), escapeStrings(m.Value))
		}
		return out
	}
	return v
}

// isInnerDeployment tells a deployment with inner scope inside a folded
// template: its template is not ours to fill in.
func isInnerDeployment(n *relaxed.Node) bool {
	t, _ := n.Get("type").Text()
	return strings.EqualFold(t, deploymentType) && !n.Get("properties").Get("template").IsNull() && isInner(n.Get("properties"))
}

func (p *Program) foldInner(env *eval.Env, n *relaxed.Node) (*relaxed.Node, error) {
	out := &relaxed.Node{Line: n.Line, Column: n.Column, Kind: relaxed.Object}
	for _, m := range n.Members {
		if !strings.EqualFold(m.Name, "properties") {
			c, err := p.foldNode(env, m.Node)
			if err != nil {
				return nil, err
			}
			out.Members = append(out.Members, relaxed.Member{Name: m.Name, Node: c})
			continue
		}
		props := &relaxed.Node{Line: m.Node.Line, Column: m.Node.Column, Kind: relaxed.Object}
		for _, q := range m.Node.Members {
			if strings.EqualFold(q.Name, "template") {
				props.Members = append(props.Members, q)
				continue
			}
			c, err := p.foldNode(env, q.Node)
			if err != nil {
				return nil, err
			}
			props.Members = append(props.Members, relaxed.Member{Name: q.Name, Node: c})
		}
		out.Members = append(out.Members, relaxed.Member{Name: m.Name, Node: props})
	}
	return out, nil
}

// Fetch reads the template that the evaluated properties of a deployment link
// to, and the link as deployment() shows it; nil when there is no link.
type Fetch func(props *relaxed.Node) (template *relaxed.Node, shown value.Value, err error)

// CompileNested compiles the inner template of a deployment as far as it is
// known now. scope is the nested deployment's own; runtime may defer. It is
// nil when the template or its address is not known yet.
func (p *Program) CompileNested(r *Resource, scope *eval.Scope, runtime eval.Runtime, fetch Fetch) (*Program, error) {
	props := r.node.Get("properties")
	env := p.resourceEnv(r)
	env.Runtime, env.Partial = runtime, true
	inner := props.Get("template")
	var shown value.Value
	if inner.IsNull() {
		var err error
		if inner, shown, err = p.fetchNested(env, r, props, fetch); inner == nil || err != nil {
			return nil, err
		}
	}
	given, err := p.nestedParameters(env, r, props.Get("parameters"))
	if err != nil {
		return nil, err
	}
	if !isInner(props) {
		var secure []Parameter
		if inner, secure, err = p.foldOuter(env, r, inner); err != nil {
			return nil, p.bodyError(r, err)
		}
		given = nil
		for _, q := range secure {
			g := Given{Name: q.Name, Expr: q.Expr}
			if q.Expr == nil {
				g.Node = relaxed.FromValue(q.Value, r.Line, r.Column)
			}
			given = append(given, g)
		}
	}
	mode, _ := props.Get("mode").Text()
	return Compile(Source{
		Template: inner, Path: r.Path + ".properties.template", Given: given, Library: p.src.Library, Scope: scope, Fresh: p.src.Fresh,
		Name: r.Name, Location: r.Location, Mode: mode, Link: shown, Partial: true, Depth: p.src.Depth + 1, Budget: p.src.Budget,
		NoEmptyLoops: BeforeEmptyLoops(r.APIVersion),
	})
}

func (p *Program) fetchNested(env *eval.Env, r *Resource, props *relaxed.Node, fetch Fetch) (*relaxed.Node, value.Value, error) {
	l := props.Get("templateLink")
	if l.IsNull() || fetch == nil {
		return nil, nil, nil
	}
	before := env.Unresolved
	v, err := p.templateLink(env, r, l)
	if err != nil {
		return nil, nil, p.bodyError(r, err)
	}
	if env.Unresolved > before {
		return nil, nil, nil
	}
	known := value.Of(value.Member{Name: "templateLink", Value: v})
	return fetch(relaxed.FromValue(known, l.Line, l.Column))
}

func (p *Program) nestedParameters(env *eval.Env, r *Resource, n *relaxed.Node) ([]Given, error) {
	if n.IsNull() {
		return nil, nil
	}
	if n.Kind != relaxed.Object {
		v, err := env.Node(n)
		if err != nil {
			return nil, p.bodyError(r, err)
		}
		if n = relaxed.FromValue(escapeStrings(v), n.Line, n.Column); n.Kind != relaxed.Object {
			return nil, invalid(n, r.Path, "The parameters of the nested deployment '%s' must be an object. %s", r.Name, seeParameters)
		}
	}
	var out []Given
	for _, m := range n.Members {
		val := m.Node.Get("value")
		if val == nil { // a vault reference: a value of its own type that only the deployment reads
			out = append(out, Given{Name: m.Name, Expr: &expr.Call{Name: "reference", Args: []expr.Expr{&expr.Text{Value: "secret of " + m.Name}}}})
			continue
		}
		before := env.Unresolved
		v, err := p.node(env, val, true)
		if err != nil {
			return nil, p.bodyError(r, err)
		}
		if env.Unresolved == before {
			out = append(out, Given{Name: m.Name, Node: relaxed.FromValue(v, val.Line, val.Column)})
			continue
		}
		out = append(out, Given{Name: m.Name, Expr: partlyKnown(v)})
	}
	return out, nil
}

// partlyKnown is the expression of a value in which some strings stand for
// expressions that are not known yet.
func partlyKnown(v value.Value) expr.Expr {
	switch v := v.(type) {
	case string:
		if expr.IsExpression(v) {
			if e, err := expr.Template(v); err == nil {
				return e
			}
		}
	case []value.Value:
		c := &expr.Call{Name: "createArray"}
		for _, item := range v {
			c.Args = append(c.Args, partlyKnown(item))
		}
		return c
	case *value.Object:
		c := &expr.Call{Name: "createObject"}
		for _, member := range v.Members() {
			c.Args = append(c.Args, &expr.Text{Value: member.Name}, partlyKnown(member.Value))
		}
		return c
	}
	return eval.Constant(v)
}
