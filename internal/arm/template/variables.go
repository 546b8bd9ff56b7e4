package template

import (
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/expr"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// variable is computed when it is first read.
type variable struct {
	name  string
	node  *relaxed.Node
	loop  *copyLoop // set for an element of variables.copy
	state bindState
	value value.Value
	err   error
}

// readVariables lists the variables; a name defined by variables.copy counts too.
func (p *Program) readVariables() error {
	p.variables = map[string]*variable{}
	n := p.src.Template.Get("variables")
	if n.IsNull() {
		return nil
	}
	for _, m := range n.Members {
		if strings.EqualFold(m.Name, "copy") && m.Node.Kind == relaxed.Array {
			for _, item := range m.Node.Items {
				loop, err := readCopy(item, p.src.Path+".variables.copy")
				if err != nil {
					return err
				}
				p.variables[strings.ToLower(loop.name)] = &variable{name: loop.name, node: item, loop: loop}
			}
			continue
		}
		name, err := p.env().Name(m.Name)
		if err != nil {
			return invalid(m.Node, p.src.Path+".variables", "The template variable name '%s' is not valid: %s", m.Name, reason(err))
		}
		p.variables[strings.ToLower(name)] = &variable{name: name, node: m.Node}
	}
	// Every expression must at least parse, used or not.
	return p.checkSyntax(n, p.src.Path+".variables")
}

// variable is variables('name').
func (p *Program) variable(name string) (value.Value, error) {
	v, ok := p.variables[strings.ToLower(name)]
	if !ok {
		return nil, eval.Errorf("The template variable '%s' is not found. Please see https://aka.ms/arm-syntax-variables for usage details.", name)
	}
	switch v.state {
	case bound:
		return v.value, v.err
	case binding:
		return nil, eval.Errorf("The template variable '%s' is not valid: it depends on itself. Please see https://aka.ms/arm-syntax-variables for usage details.", name)
	}
	v.state = binding
	v.value, v.err = p.computeVariable(v)
	v.state = bound
	return v.value, v.err
}

func (p *Program) computeVariable(v *variable) (value.Value, error) {
	env := p.env()
	env.Resources = nil
	env.Partial = p.src.Partial || p.hidden != nil
	var out value.Value
	var err error
	if v.loop != nil {
		out, err = p.runCopy(env, v.loop, false)
	} else {
		out, err = p.node(env, v.node, false)
	}
	if err == nil {
		err = env.Weigh(out)
	}
	if err == nil && env.Unresolved > 0 {
		return nil, &eval.Deferred{Function: "variables", Target: v.name, Expr: partlyKnown(out)}
	}
	if err == nil {
		return out, nil
	}
	if _, ok := deferred(err); ok {
		return nil, err
	}
	return nil, eval.Errorf("The template variable '%s' is not valid: %s", v.name, reason(err))
}

// checkSyntax parses every expression below n.
func (p *Program) checkSyntax(n *relaxed.Node, path string) error {
	switch n.Kind {
	case relaxed.Array:
		for _, item := range n.Items {
			if err := p.checkSyntax(item, path); err != nil {
				return err
			}
		}
	case relaxed.Object:
		for _, m := range n.Members {
			if err := p.checkSyntax(m.Node, path); err != nil {
				return err
			}
		}
	default:
		s, ok := n.Scalar.(string)
		if !ok || !expr.IsExpression(s) {
			return nil
		}
		e, err := expr.Template(s)
		if err == nil {
			err = p.checkNames(e)
		}
		if err != nil {
			return expressionError(n, path, err)
		}
	}
	return nil
}

// checkNames refuses calls of functions that do not exist.
func (p *Program) checkNames(e expr.Expr) (err error) {
	expr.Walk(e, func(e expr.Expr) bool {
		c, ok := e.(*expr.Call)
		if !ok || err != nil {
			return err == nil
		}
		_, user := p.functions[strings.ToLower(c.Name)]
		if !user && !p.src.Library.Known(c.Name) {
			err = eval.Errorf("The template function '%s' is not valid. Please see https://aka.ms/arm-functions for usage details.", c.Name)
		}
		if !p.Symbolic && strings.EqualFold(c.Name, "references") {
			err = eval.Errorf("The template function '%s' is not expected at this location: it needs the template's languageVersion '2.0'. Please see https://aka.ms/arm-functions for usage details.", c.Name)
		}
		return err == nil
	})
	return err
}

func expressionError(n *relaxed.Node, path string, err error) error {
	e := invalid(n, path, "")
	e.Message = "Deployment template language expression evaluation failed: '" + reason(err) + "'. Please see https://aka.ms/arm-functions for usage details."
	return e
}

func literal(s string) string { return expr.Literal(s) }
