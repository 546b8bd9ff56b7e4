package template

import (
	"math/big"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// Output is one computed output.
type Output struct {
	Name string
	// Type as the service prints it: String, Int, SecureString …
	Type   string
	Secure bool
	Value  value.Value
	// Shown is Value without its secure parts, for responses.
	Shown value.Value
}

// OutputError says why one output has no value.
type OutputError struct {
	Name string
	Err  error
}

// checkOutputs refuses outputs that can never be computed.
func (p *Program) checkOutputs() error {
	p.outputs = p.src.Template.Get("outputs")
	if p.outputs.IsNull() {
		return nil
	}
	for _, m := range p.outputs.Members {
		path := p.src.Path + ".outputs." + m.Name
		if _, err := p.readType(m.Node, path); err != nil {
			return err
		}
		if m.Node.Get("value") == nil && m.Node.Get("copy").IsNull() {
			return invalid(m.Node, path, "The template output '%s' at line '%d' and column '%d' has no value. Please see https://aka.ms/arm-template/#outputs for usage details.", m.Name, m.Node.Line, m.Node.Column)
		}
		for _, part := range []string{"value", "copy", "condition"} {
			if n := m.Node.Get(part); n != nil {
				if err := p.checkSyntax(n, path); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Outputs computes the outputs in order. Errors of single outputs are
// collected; an error that is no refusal of the template (the server is
// stopping) ends it.
func (p *Program) Outputs(runtime eval.Runtime) ([]Output, []OutputError, error) {
	if p.outputs.IsNull() {
		return nil, nil, nil
	}
	var out []Output
	var failed []OutputError
	for _, m := range p.outputs.Members {
		o, ok, err := p.output(m.Name, m.Node, runtime)
		switch {
		case err == nil && ok:
			out = append(out, o)
		case err == nil:
		case isRefusal(err):
			failed = append(failed, OutputError{m.Name, err})
		default:
			return nil, nil, err
		}
	}
	return out, failed, nil
}

func (p *Program) output(name string, n *relaxed.Node, runtime eval.Runtime) (o Output, ok bool, err error) {
	env := p.env()
	env.Runtime = runtime
	if c := n.Get("condition"); !c.IsNull() {
		v, err := env.Node(c)
		if err != nil {
			return o, false, err
		}
		b, isBool := v.(bool)
		if !isBool {
			return o, false, eval.Errorf("The condition must be a boolean. The provided value is of type '%s'.", value.TypeName(v))
		}
		if !b {
			return o, false, nil
		}
	}
	spec, err := p.readType(n, p.src.Path+".outputs."+name)
	if err != nil {
		return o, false, err
	}
	o = Output{Name: name, Type: spec.wireName(), Secure: spec.secure}
	if c := n.Get("copy"); !c.IsNull() {
		loop, err := readCopy(c, p.src.Path+".outputs."+name)
		if err != nil {
			return o, false, err
		}
		if o.Value, err = p.runCopy(env, loop, false); err != nil {
			return o, false, err
		}
	} else if o.Value, err = p.node(env, n.Get("value"), false); err != nil {
		return o, false, err
	}
	if err := env.Weigh(o.Value); err != nil {
		return o, false, err
	}
	o.Type = spec.wireNameFor(o.Value)
	if o.Shown = o.Value; spec.holdsSecret(p, 0) {
		o.Shown = spec.shown(p, o.Value, 0)
	}
	return o, true, spec.checkOutput(p, o.Value)
}

// checkOutput checks an output's value and words the refusal. A string output
// takes a floating-point number, which has no type of its own.
func (t *typeSpec) checkOutput(p *Program, v value.Value) error {
	if _, isFloat := v.(float64); isFloat && (t.name == "string" || t.name == "int") {
		return nil
	}
	if !t.accepts(v) {
		expected, _, _ := strings.Cut(t.tokenName(), ",")
		return eval.Errorf("Template output JToken type is not valid. Expected '%s'. Actual '%s'.Please see https://aka.ms/arm-template/#outputs for usage details.", expected, value.TypeName(v))
	}
	_, tooBig := v.(*big.Int)
	if !p.Symbolic && !tooBig {
		return nil
	}
	if why := t.violation(p, v, "", 0); why != "" {
		return eval.Errorf("The value of the output is not valid. %s. Please see https://aka.ms/arm-template/#outputs for usage details.", why)
	}
	return nil
}
