package template

import (
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
				var err error
				if t, err = p.fold(env, t); err != nil {
					return nil, err
				}
			}
			r.folded = t
			out.Set("template", t.Value())
		case "expressionevaluationoptions": // done here
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

// fold fills the values of this template into a nested one with outer scope,
// which cannot have parameters or variables of its own.
func (p *Program) fold(env *eval.Env, n *relaxed.Node) (*relaxed.Node, error) {
	if n.Kind != relaxed.Object {
		return n, nil
	}
	out := &relaxed.Node{Line: n.Line, Column: n.Column, Kind: relaxed.Object}
	for _, m := range n.Members {
		switch strings.ToLower(m.Name) {
		case "parameters", "variables", "functions", "definitions":
			continue
		case "resources", "outputs":
			c, err := p.foldNode(env, m.Node)
			if err != nil {
				return nil, err
			}
			out.Members = append(out.Members, relaxed.Member{Name: m.Name, Node: c})
		default:
			out.Members = append(out.Members, m)
		}
	}
	return out, nil
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

// CompileNested compiles the inner template of a deployment as far as it is
// known now. scope is the nested deployment's own; runtime may defer. It is
// nil when there is no template in the request (a link).
func (p *Program) CompileNested(r *Resource, scope *eval.Scope, runtime eval.Runtime) (*Program, error) {
	props := r.node.Get("properties")
	if props.Get("template").IsNull() {
		return nil, nil
	}
	env := p.resourceEnv(r)
	env.Runtime, env.Partial = runtime, true
	inner := props.Get("template")
	if !isInner(props) {
		var err error
		if inner, err = p.fold(env, inner); err != nil {
			return nil, p.bodyError(r, err)
		}
	}
	given, err := p.nestedParameters(env, r, props.Get("parameters"))
	if err != nil {
		return nil, err
	}
	mode, _ := props.Get("mode").Text()
	return Compile(Source{
		Template: inner, Path: r.Path + ".properties.template", Given: given, Library: p.src.Library, Scope: scope, Fresh: p.src.Fresh,
		Name: r.Name, Location: r.Location, Mode: mode, Partial: true, Depth: p.src.Depth + 1,
	})
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
		e := expr.Expr(&expr.Call{Name: "reference", Args: []expr.Expr{&expr.Text{Value: m.Name}}})
		if s, ok := v.(string); ok && expr.IsExpression(s) {
			if parsed, perr := expr.Template(s); perr == nil {
				e = parsed
			}
		}
		out = append(out, Given{Name: m.Name, Expr: e})
	}
	return out, nil
}
