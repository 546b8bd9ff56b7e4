package template

import (
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/expr"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
)

// checkNested refuses a nested deployment that can never be deployed.
func (p *Program) checkNested(r *Resource) error {
	bad := func(n *relaxed.Node, why string) error {
		return invalid(n, r.Path, "The template resource '%s' at line '%d' and column '%d' is not valid: %s. %s", r.Name, r.Line, r.Column, why, seeNested)
	}
	props := r.node.Get("properties")
	if props == nil || props.Kind != relaxed.Object {
		return bad(r.node, "the properties of a deployment must be an object")
	}
	hasTemplate, hasLink := !props.Get("template").IsNull(), !props.Get("templateLink").IsNull()
	switch {
	case hasTemplate && hasLink:
		return bad(props, "the properties 'template' and 'templateLink' cannot both be given")
	case !hasTemplate && !hasLink:
		return bad(props, "one of the properties 'template' and 'templateLink' is required")
	case !props.Get("parameters").IsNull() && !props.Get("parametersLink").IsNull():
		return bad(props, "the properties 'parameters' and 'parametersLink' cannot both be given")
	}
	env := p.resourceEnv(r)
	for _, c := range []struct {
		node     *relaxed.Node
		name     string
		required bool
		allowed  []string
		why      string
	}{
		{props.Get("mode"), "mode", true, []string{"Incremental"}, "nested and linked templates are deployed incrementally"},
		{props.Get("expressionEvaluationOptions").Get("scope"), "expressionEvaluationOptions.scope", false, []string{"NotSpecified", "Outer", "Inner"}, "the scope of expressions is one of 'NotSpecified, Outer, Inner'"},
	} {
		if c.node.IsNull() {
			if c.required {
				return bad(props, "the property '"+c.name+"' is required")
			}
			continue
		}
		if s, ok := c.node.Text(); ok && !c.required && expr.IsExpression(s) { // it decides how all others are read
			return bad(c.node, "the property '"+c.name+"' must be a constant, not an expression")
		}
		v, err := env.Node(c.node)
		if deferredIn(err) && p.src.Partial {
			continue
		}
		if err != nil {
			return p.bodyError(r, err)
		}
		s, _ := v.(string)
		ok := false
		for _, a := range c.allowed {
			ok = ok || strings.EqualFold(a, s)
		}
		if !ok {
			return bad(c.node, "the property '"+c.name+"' cannot be '"+eval.Render(v)+"': "+c.why)
		}
	}
	return nil
}
