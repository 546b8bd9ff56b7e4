package template

import (
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

const seeUserFunctions = "Please see https://aka.ms/arm-user-functions for usage details."

// maxCalls bounds how deep user functions may call each other.
const maxCalls = 64

// readFunctions reads the namespaces of user functions.
func (p *Program) readFunctions() error {
	p.functions = map[string]eval.Function{}
	n := p.src.Template.Get("functions")
	if n.IsNull() {
		return nil
	}
	depth := 0
	for _, space := range n.Items {
		ns, ok := space.Get("namespace").Text()
		members := space.Get("members")
		if !ok || members == nil || members.Kind != relaxed.Object {
			return invalid(space, p.src.Path+".functions", "A template function namespace needs the members 'namespace' and 'members'. %s", seeUserFunctions)
		}
		for _, m := range members.Members {
			name := ns + "." + m.Name
			path := p.src.Path + ".functions." + name
			f, err := p.readFunction(name, m.Node, path, &depth)
			if err != nil {
				return err
			}
			p.functions[strings.ToLower(name)] = f
		}
	}
	for _, space := range n.Items { // now that all names are known
		for _, m := range space.Get("members").Members {
			if err := p.checkSyntax(m.Node.Get("output"), p.src.Path+".functions"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Program) function(name string) (eval.Function, bool) {
	f, ok := p.functions[strings.ToLower(name)]
	return f, ok
}

func (p *Program) readFunction(name string, n *relaxed.Node, path string, depth *int) (eval.Function, error) {
	out := n.Get("output")
	if out == nil || out.Kind != relaxed.Object || out.Get("value") == nil {
		return nil, invalid(n, path, "The template function '%s' has no output value. %s", name, seeUserFunctions)
	}
	result, err := p.readType(out, path)
	if err != nil {
		return nil, err
	}
	var names []string
	var types []*typeSpec
	if params := n.Get("parameters"); !params.IsNull() {
		if params.Kind != relaxed.Array {
			return nil, invalid(params, path, "The parameters of the template function '%s' must be an array. %s", name, seeUserFunctions)
		}
		for _, q := range params.Items {
			pn, ok := q.Get("name").Text()
			if !ok {
				return nil, invalid(q, path, "A parameter of the template function '%s' has no name. %s", name, seeUserFunctions)
			}
			if q.Get("defaultValue") != nil {
				return nil, invalid(q, path, "The parameter '%s' of the template function '%s' may not have a default value. %s", pn, name, seeUserFunctions)
			}
			spec, err := p.readType(q, path)
			if err != nil {
				return nil, err
			}
			names, types = append(names, pn), append(types, spec)
		}
	}
	return func(args []value.Value) (value.Value, error) {
		if len(args) != len(names) {
			return nil, eval.Errorf("The template function '%s' expects %d argument(s) while %d were provided. %s", name, len(names), len(args), seeUserFunctions)
		}
		for i, a := range args {
			if why := types[i].violation(p, a, "", 0); why != "" {
				return nil, eval.Errorf("The argument for the parameter '%s' of the template function '%s' is not valid: %s. %s", names[i], name, why, seeUserFunctions)
			}
		}
		*depth++
		defer func() { *depth-- }()
		if *depth > maxCalls {
			return nil, eval.Errorf("The template function '%s' calls itself or too many others. %s", name, seeUserFunctions)
		}
		env := &eval.Env{Library: p.src.Library, Budget: p.src.Budget, Scope: p.src.Scope, Parameters: func(q string) (value.Value, error) {
			for i := range names {
				if strings.EqualFold(names[i], q) {
					return args[i], nil
				}
			}
			return nil, unknownParameter(q)
		}}
		if p.Symbolic { // earlier versions cannot call other user functions
			env.Functions = p.function
		}
		v, err := env.Node(out.Get("value"))
		if err != nil {
			return nil, err
		}
		if why := result.violation(p, v, "", 0); why != "" {
			return nil, eval.Errorf("The output of the template function '%s' is not valid: %s. %s", name, why, seeUserFunctions)
		}
		return v, nil
	}, nil
}
