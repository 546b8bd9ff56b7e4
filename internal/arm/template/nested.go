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
			t, err := p.innerTemplate(env, m.Node)
			if err != nil {
				return nil, err
			}
			if t == nil {
				t = m.Node
			}
			if !isInner(n) {
				var secure []Parameter
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
	var err error
	if !inner.IsNull() {
		if inner, err = p.innerTemplate(env, inner); inner == nil || err != nil {
			return nil, p.bodyError(r, err)
		}
	} else {
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
		val, whole := m.Node.Get("value"), false
		if _, loop := copies(m.Node); val == nil && (loop || m.Node.Kind == relaxed.Scalar) {
			val, whole = m.Node, true // a loop named "value", or an expression, makes {"value": …}
		}
		if val == nil {
			out = append(out, secretOf(m.Name))
			continue
		}
		before, ok := env.Unresolved, true
		v, err := p.node(env, val, true)
		if err != nil {
			return nil, p.bodyError(r, err)
		}
		if whole {
			if out, v, ok = wholeParameter(out, m.Name, v); !ok {
				continue
			}
		}
		if env.Unresolved == before {
			out = append(out, Given{Name: m.Name, Node: relaxed.FromValue(v, val.Line, val.Column)})
			continue
		}
		out = append(out, Given{Name: m.Name, Expr: partlyKnown(v)})
	}
	return out, nil
}

// secretOf stands for a vault reference: a value of its own type that only the
// deployment reads.
func secretOf(name string) Given {
	return Given{Name: name, Expr: &expr.Call{Name: "reference", Args: []expr.Expr{&expr.Text{Value: "secret of " + name}}}}
}

// wholeParameter takes the value out of an evaluated {"value": …}. ok is false
// when the parameter is settled, and added to given, without it.
func wholeParameter(given []Given, name string, v value.Value) (out []Given, inner value.Value, ok bool) {
	switch v := v.(type) {
	case *value.Object:
		if inner, ok = v.Get("value"); ok {
			return given, inner, true
		}
		return append(given, secretOf(name)), nil, false
	case string:
		if expr.IsExpression(v) {
			if e, err := expr.Template(v); err == nil {
				return append(given, Given{Name: name, Expr: &expr.Property{X: e, Name: "value"}}), nil, false
			}
		}
	}
	return append(given, secretOf(name)), nil, false
}

// innerTemplate is the template of a nested deployment: as it stands there, or
// what an expression makes; nil when that is not known yet.
func (p *Program) innerTemplate(env *eval.Env, n *relaxed.Node) (*relaxed.Node, error) {
	s, ok := n.Text()
	if !ok || !expr.IsExpression(s) {
		return n, nil
	}
	before := env.Unresolved
	v, err := p.node(env, n, true)
	if err != nil || env.Unresolved > before {
		return nil, err
	}
	return relaxed.FromValue(v, n.Line, n.Column), nil
}
