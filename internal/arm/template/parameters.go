package template

import (
	"errors"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/expr"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
	"github.com/kustos-io/kustos/internal/azerr"
)

// binding is the state of a parameter while defaults refer to each other.
type bindState uint8

const (
	unbound bindState = iota
	binding
	bound
)

type binder struct {
	p      *Program
	given  map[string]Given
	states []bindState
	types  []*typeSpec
	errs   []error
}

// bindParameters gives every declared parameter its value and checks it.
func (p *Program) bindParameters() error {
	declared := p.src.Template.Get("parameters")
	p.params = map[string]int{}
	b := &binder{p: p, given: map[string]Given{}}
	if !declared.IsNull() {
		for _, m := range declared.Members {
			if err := p.parameterMembers(m); err != nil {
				return err
			}
			q := Parameter{Name: m.Name, node: m.Node, path: p.src.Path + ".parameters." + m.Name}
			spec, err := p.readType(m.Node, q.path)
			if err != nil {
				return err
			}
			q.Type, q.Secure, q.Sensitive = spec.wireName(), spec.secure, spec.holdsSecret(p, 0)
			key := strings.ToLower(m.Name)
			if _, ok := p.params[key]; ok {
				return invalid(m.Node, q.path, "The template parameter '%s' is declared more than once in different case. %s", m.Name, seeParameters)
			}
			p.params[key] = len(p.Parameters)
			p.Parameters = append(p.Parameters, q)
			b.types = append(b.types, spec)
		}
	}
	var unknown []string
	for _, g := range p.src.Given {
		if _, ok := p.params[strings.ToLower(g.Name)]; !ok {
			unknown = append(unknown, g.Name)
		}
		b.given[strings.ToLower(g.Name)] = g
	}
	if len(unknown) > 0 {
		names := make([]string, len(p.Parameters))
		for i, q := range p.Parameters {
			names[i] = q.Name
		}
		return azerr.InvalidTemplate("The template parameters '"+strings.Join(unknown, ", ")+"' in the parameters file are not valid; they are not present in the original template and can therefore not be provided at deployment time. The only supported parameters for this template are '"+
			strings.Join(names, ", ")+"'. Please see https://aka.ms/arm-pass-parameter-values for usage details.", 0, 0, "")
	}
	b.states, b.errs = make([]bindState, len(p.Parameters)), make([]error, len(p.Parameters))
	for i := range p.Parameters {
		if err := b.bind(i); err != nil {
			return err
		}
	}
	return nil
}

// parameterMembers refuses members that no declaration of a parameter has.
func (p *Program) parameterMembers(declaration relaxed.Member) error {
	if declaration.Node.Kind != relaxed.Object {
		return nil
	}
	for _, m := range declaration.Node.Members {
		switch strings.ToLower(m.Name) {
		case "type", "defaultvalue", "allowedvalues", "minvalue", "maxvalue", "minlength", "maxlength", "metadata", "nullable", "items", "prefixitems",
			"properties", "additionalproperties", "discriminator", "$ref", "sealed", "description":
		default:
			return p.unknownMember(m, "TemplateInputParameter", p.src.Path+".parameters."+declaration.Name)
		}
	}
	return nil
}

// bind computes one parameter, and before it those its default reads.
func (b *binder) bind(i int) error {
	q := &b.p.Parameters[i]
	switch b.states[i] {
	case bound:
		return b.errs[i]
	case binding:
		return invalid(q.node, q.path, "The template parameter '%s' is not valid: its default value depends on itself. %s", q.Name, seeParameters)
	}
	b.states[i] = binding
	b.errs[i] = b.compute(q, b.types[i])
	b.states[i] = bound
	return b.errs[i]
}

func (b *binder) compute(q *Parameter, spec *typeSpec) error {
	if b.p.src.Fixed != nil {
		if v, ok := b.p.src.Fixed.Get(q.Name); ok {
			q.Value = v
			return nil
		}
	}
	fallback := q.node.Get("defaultValue")
	if g, ok := b.given[strings.ToLower(q.Name)]; ok {
		if g.Expr != nil {
			q.Expr = g.Expr
			return nil
		}
		v := g.Node.Value()
		if v != nil || spec.nullable || fallback == nil {
			if v == nil && spec.nullable {
				return nil
			}
			q.Value, q.Type = v, spec.wireNameFor(v)
			return spec.checkParameter(b.p, q, v)
		}
	}
	if fallback == nil {
		if spec.nullable {
			return nil
		}
		return invalid(q.node, q.path, "The value for the template parameter '%s' at line '%d' and column '%d' is not provided. %s", q.Name, q.node.Line, q.node.Column, seeParameters)
	}
	env := b.p.env()
	env.Variables, env.Resources, env.Fresh = nil, nil, b.p.src.Fresh
	env.Parameters = func(name string) (value.Value, error) {
		j, ok := b.p.params[strings.ToLower(name)]
		if !ok {
			return nil, unknownParameter(name)
		}
		if err := b.bind(j); err != nil {
			return nil, err
		}
		return b.p.parameter(name)
	}
	v, err := env.Node(fallback)
	if err == nil {
		err = env.Weigh(v)
	}
	if err != nil {
		if d, ok := deferred(err); ok && b.p.src.Partial {
			q.Expr = d.Expr
			return nil
		}
		var wire *azerr.Error
		if errors.As(err, &wire) {
			return wire
		}
		return invalid(fallback, q.path, "The template parameter '%s' at line '%d' and column '%d' is not valid: %s", q.Name, q.node.Line, q.node.Column, reason(err))
	}
	if v == nil && spec.nullable {
		return nil
	}
	q.Value, q.Type = v, spec.wireNameFor(v)
	return spec.checkParameter(b.p, q, v)
}

func unknownParameter(name string) error {
	return eval.Errorf("The template parameter '%s' is not found. Please see https://aka.ms/arm-syntax-parameters for usage details.", name)
}

// parameter is parameters('name').
func (p *Program) parameter(name string) (value.Value, error) {
	i, ok := p.params[strings.ToLower(name)]
	if !ok {
		return nil, unknownParameter(name)
	}
	q := p.Parameters[i]
	if p.hidden != nil && q.Sensitive {
		p.hidden[q.Name] = true
		return nil, &eval.Deferred{Function: "parameters", Target: q.Name, Expr: &expr.Call{Name: "parameters", Args: []expr.Expr{&expr.Text{Value: q.Name}}}}
	}
	if q.Expr != nil {
		return nil, &eval.Deferred{Function: "parameters", Target: q.Name, Expr: q.Expr}
	}
	return q.Value, nil
}

// GivenFrom reads the "parameters" member of a request: {name: {value: …}}.
// secret resolves {name: {reference: {keyVault: …}}}; nil refuses those.
func GivenFrom(n *relaxed.Node, path string, secret func(name string, reference *relaxed.Node) (*relaxed.Node, error)) ([]Given, error) {
	if n.IsNull() {
		return nil, nil
	}
	if n.Kind != relaxed.Object {
		return nil, invalid(n, path, "The parameters must be an object. The provided value is of type '%s'. %s", n.TypeName(), seeParameters)
	}
	out := make([]Given, 0, len(n.Members))
	for _, m := range n.Members {
		where := path + "." + m.Name
		if m.Node.Kind == relaxed.Scalar && !m.Node.IsNull() { // a whole parameter file, or values without "value"
			return nil, azerr.InvalidRequestContent(placed("Error converting value "+value.JSON(m.Node.Value())+" to type 'DeploymentParameterDefinition'", where, m.Node.Line, m.Node.Column))
		}
		for _, q := range m.Node.Members {
			switch strings.ToLower(q.Name) {
			case "value", "reference", "metadata":
			default:
				return nil, azerr.InvalidRequestContent(placed("Could not find member '"+q.Name+"' on object of type 'DeploymentParameterDefinition'", where+"."+q.Name, q.Line, q.Column))
			}
		}
		if m.Node.Kind != relaxed.Object {
			return nil, invalid(m.Node, where, "The template parameter '%s' must be an object with the member 'value' or 'reference'. The provided value is of type '%s'. %s", m.Name, m.Node.TypeName(), seeParameters)
		}
		given := m.Node.Get("value")
		if given == nil {
			ref := m.Node.Get("reference")
			if ref == nil {
				return nil, invalid(m.Node, where, "The template parameter '%s' must have one of the members 'value' and 'reference'. %s", m.Name, seeParameters)
			}
			if secret == nil {
				return nil, invalid(ref, where, "The template parameter '%s' refers to a vault's secret, which is not supported here. %s", m.Name, seeParameters)
			}
			var err error
			if given, err = secret(m.Name, ref); err != nil {
				return nil, err
			}
		}
		out = append(out, Given{Name: m.Name, Node: given})
	}
	return out, nil
}
