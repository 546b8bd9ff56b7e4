package template

import (
	"errors"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/value"
	"github.com/kustos-io/kustos/internal/azerr"
)

// dropped members describe the declaration, not the resource.
func dropped(name string) bool {
	switch strings.ToLower(name) {
	case "type", "name", "apiversion", "condition", "copy", "dependson", "scope", "comments", "resources", "existing", "metadata", "import", "extension", "$options", "@options", "assert", "asserts":
		return true
	}
	return false
}

// Body evaluates what is written to the provider: every member but those of
// the declaration, without nulls. runtime answers reference() and list*().
func (p *Program) Body(r *Resource, runtime eval.Runtime) (*value.Object, error) {
	env := p.resourceEnv(r)
	env.Runtime = runtime
	return p.body(env, r)
}

// PartialBody is Body for showing: what runtime defers stays an expression.
// unresolved counts those.
func (p *Program) PartialBody(r *Resource, runtime eval.Runtime) (body *value.Object, unresolved int, err error) {
	env := p.resourceEnv(r)
	env.Runtime, env.Partial = runtime, true
	body, err = p.body(env, r)
	return body, env.Unresolved, err
}

func (p *Program) body(env *eval.Env, r *Resource) (*value.Object, error) {
	out := value.NewObject(len(r.node.Members))
	for _, m := range r.node.Members {
		if dropped(m.Name) {
			continue
		}
		var v value.Value
		var err error
		if r.IsDeployment() {
			switch strings.ToLower(m.Name) {
			case "subscriptionid", "resourcegroup":
				continue
			case "properties":
				v, err = p.deploymentProperties(env, r, m.Node)
			default:
				v, err = p.node(env, m.Node, true)
			}
		} else {
			v, err = p.node(env, m.Node, true)
		}
		if err == nil {
			err = env.Weigh(v)
		}
		if err != nil {
			return nil, p.bodyError(r, err)
		}
		if r.IsDeployment() && strings.EqualFold(m.Name, "properties") {
			v = deploymentWithoutNulls(v)
		} else {
			v = WithoutNulls(v)
		}
		if v != nil {
			out.Set(m.Name, v)
		}
	}
	if n := jsonSize(out, maxResourceSize); n > maxResourceSize && !r.IsDeployment() {
		return nil, invalid(r.node, r.Path, "The template resource '%s' at line '%d' and column '%d' is not valid: its definition is larger than '%d' bytes once its expressions are evaluated. %s", r.Name, r.Line, r.Column, maxResourceSize, seeResources)
	}
	return out, nil
}

// jsonSize is the number of bytes of v as compact JSON, not counting escapes;
// it stops counting past limit.
func jsonSize(v value.Value, limit int) int {
	n := 0
	switch v := v.(type) {
	case string:
		return len(v) + len(`""`)
	case []value.Value:
		n = len("[]")
		for _, item := range v {
			if n > limit {
				return n
			}
			n += jsonSize(item, limit-n) + len(",")
		}
	case *value.Object:
		n = len("{}")
		for _, m := range v.Members() {
			if n > limit {
				return n
			}
			n += len(m.Name) + len(`"":,`) + jsonSize(m.Value, limit-n)
		}
	default:
		return len(value.JSON(v))
	}
	return n
}

// bodyError words an evaluation error; errors of the runtime keep their own words.
func (p *Program) bodyError(r *Resource, err error) error {
	var wire *azerr.Error
	if !isOurs(err) && !deferredIn(err) || errors.As(err, &wire) {
		return err
	}
	return azerr.InvalidTemplateExpression(r.ID, reason(err), r.Line, r.Column, r.Path)
}

// WithoutNulls drops the members of objects that are null, at any depth.
func WithoutNulls(v value.Value) value.Value {
	switch v := v.(type) {
	case []value.Value:
		out := make([]value.Value, len(v))
		for i := range v {
			out[i] = WithoutNulls(v[i])
		}
		return out
	case *value.Object:
		out := value.NewObject(v.Len())
		for _, m := range v.Members() {
			if m.Value != nil {
				out.Set(m.Name, WithoutNulls(m.Value))
			}
		}
		return out
	}
	return v
}

// deploymentWithoutNulls is WithoutNulls for the properties of a deployment. A
// null inside a parameter's value or the template means something there: a
// parameter that is nullable, a variable that is null.
func deploymentWithoutNulls(v value.Value) value.Value {
	props, ok := v.(*value.Object)
	if !ok {
		return WithoutNulls(v)
	}
	out := value.NewObject(props.Len())
	for _, m := range props.Members() {
		switch {
		case m.Value == nil:
		case strings.EqualFold(m.Name, "template") || strings.EqualFold(m.Name, "parameters"):
			out.Set(m.Name, m.Value)
		default:
			out.Set(m.Name, WithoutNulls(m.Value))
		}
	}
	return out
}

// checkSyntaxOf parses every expression of a declaration, once for a loop.
func (p *Program) checkSyntaxOf(r *Resource) error {
	if r.Index > 0 {
		return nil
	}
	for _, m := range r.node.Members {
		if strings.EqualFold(m.Name, "resources") {
			continue
		}
		if r.IsDeployment() && strings.EqualFold(m.Name, "properties") {
			for _, q := range m.Node.Members {
				if !strings.EqualFold(q.Name, "template") { // compiled on its own
					if err := p.checkSyntax(q.Node, r.Path); err != nil {
						return err
					}
				}
			}
			continue
		}
		if err := p.checkSyntax(m.Node, r.Path); err != nil {
			return err
		}
	}
	return nil
}

// recorder notes what a body reads and answers nothing yet.
type recorder struct{ targets *[]string }

func (rec recorder) note(function, target string) error {
	*rec.targets = append(*rec.targets, target)
	return &eval.Deferred{Function: function, Target: target}
}

func (rec recorder) Reference(target, _ string, _ bool) (value.Value, error) {
	return nil, rec.note("reference", target)
}

func (rec recorder) References(loop string, _ bool) (value.Value, error) {
	return nil, rec.note("references", loop)
}

func (rec recorder) List(function, target, _ string, _ value.Value) (value.Value, error) {
	return nil, rec.note(function, target)
}

// evaluateBodies evaluates every body as far as it goes without live
// resources: it finds errors now that would otherwise surface half-way through
// a deployment, and records what each resource reads.
func (p *Program) evaluateBodies() error {
	for _, r := range p.Resources {
		if !r.Condition || r.Unresolved != "" {
			continue
		}
		if r.Existing {
			continue
		}
		if _, _, err := p.PartialBody(r, recorder{&r.targets}); err != nil {
			return err
		}
	}
	return nil
}
