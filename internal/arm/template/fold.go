package template

import (
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/expr"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

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
	out := &relaxed.Node{Line: n.Line, Column: n.Column, EndLine: n.EndLine, EndColumn: n.EndColumn, Kind: relaxed.Object}
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
