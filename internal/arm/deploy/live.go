package deploy

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/template"
	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/value"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

const seeTemplate = "Please see https://aka.ms/arm-template for usage details."

// live answers reference() and list*() of a running deployment by asking the
// providers, as the deployment's principal. It lives as long as one evaluation.
type live struct {
	x   *execution
	ctx context.Context
}

// Reference implements eval.Runtime.
func (l *live) Reference(target, version string, full bool) (value.Value, error) {
	id, r, version, err := resolve(l.x.p, "reference", target, version)
	if err != nil {
		return nil, err
	}
	o := l.x.answer(r)
	if o == nil {
		if o, err = l.read(id, version); err != nil {
			return nil, err
		}
	}
	return referenceValue(o, r, id, version, full), nil
}

// answer is how a nested deployment of this run ended; nil for anything else.
func (x *execution) answer(r *template.Resource) *value.Object {
	if r == nil || !r.IsDeployment() {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, q := range x.p.Resources {
		if s := x.steps[stepKey(i)]; q == r && s != nil && s.done() && s.Answer != nil {
			v, err := value.FromJSON(s.Answer)
			o, ok := v.(*value.Object)
			if err == nil && ok {
				return o
			}
		}
	}
	return nil
}

// References implements eval.Runtime.
func (l *live) References(loop string, full bool) (value.Value, error) {
	return references(l.x.p, loop, func(r *template.Resource) (value.Value, error) {
		return l.Reference(r.ID, r.APIVersion, full)
	})
}

// List implements eval.Runtime.
func (l *live) List(function, target, version string, body value.Value) (value.Value, error) {
	id, _, version, err := resolve(l.x.p, function, target, version)
	if err != nil {
		return nil, err
	}
	req := l.x.request(http.MethodPost, id, version, nil)
	req.Action = function
	if body != nil {
		req.Body = value.Raw(body)
	}
	return post(l.ctx, l.x.e.front, req)
}

func post(ctx context.Context, front provider.Dispatcher, req *provider.Request) (value.Value, error) {
	resp, err := front.Dispatch(ctx, req)
	if err != nil {
		return nil, err
	}
	return answerOf(resp)
}

// read gets a live resource, once between two changes.
func (l *live) read(id ids.ID, version string) (*value.Object, error) {
	k := id.Key() + "|" + version
	l.x.mu.Lock()
	o := l.x.cache[k]
	l.x.mu.Unlock()
	if o != nil {
		return o, nil
	}
	resp, err := l.x.e.front.Dispatch(l.ctx, l.x.request(http.MethodGet, id, version, nil))
	if err != nil {
		return nil, err
	}
	if o, err = object(resp); err != nil {
		return nil, err
	}
	l.x.mu.Lock()
	l.x.cache[k] = o
	l.x.mu.Unlock()
	return o, nil
}

// resolve finds the resource that a reference names: one of the template, or
// any other by its id and version.
func resolve(p *template.Program, function, target, version string) (id ids.ID, r *template.Resource, v string, err error) {
	list := p.Find(target)
	if len(list) > 1 {
		list = enabled(list)
	}
	switch {
	case len(list) > 1:
		return id, nil, "", eval.Errorf("Unable to evaluate template language function '%s': the resource '%s' is ambiguous: the template defines %d of this name. %s", function, target, len(list), seeTemplate)
	case len(list) == 1:
		r = list[0]
		target = r.ID
		if version == "" {
			version = r.APIVersion
		}
	case !strings.HasPrefix(target, "/"):
		full, ok := template.RelativeID(p.Scope(), target)
		if !ok {
			return id, nil, "", eval.Errorf("The resource '%s' is not defined in the template. %s", target, seeTemplate)
		}
		target = full
	}
	if version == "" {
		return id, nil, "", eval.Errorf("Unable to evaluate template language function '%s': the resource '%s' is not defined in the template, so the reference requires an API version. %s", function, target, seeTemplate)
	}
	id, perr := ids.Parse(target)
	if perr != nil || id.Namespace != "" && !id.IsResource() {
		return id, nil, "", eval.Errorf("Unable to evaluate template language function '%s': the value '%s' is no resource id. %s", function, target, seeTemplate)
	}
	return id, r, version, nil
}

func enabled(list []*template.Resource) []*template.Resource {
	var out []*template.Resource
	for _, r := range list {
		if r.Condition {
			out = append(out, r)
		}
	}
	return out
}

// references is references('loop'): the instances in order, without those
// whose condition is false.
func references(p *template.Program, loop string, read func(*template.Resource) (value.Value, error)) (value.Value, error) {
	list := p.Find(loop)
	out := []value.Value{}
	for _, r := range list {
		if r.Loop == "" {
			return nil, eval.Errorf("Unable to evaluate template language function 'references': the resource '%s' is no copy loop. %s", loop, seeTemplate)
		}
		if !r.Condition {
			continue
		}
		v, err := read(r)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	if len(list) == 0 && !p.EmptyLoop(loop) {
		return nil, eval.Errorf("The resource '%s' is not defined in the template. %s", loop, seeTemplate)
	}
	return out, nil
}

// referenceValue is what reference() returns of a resource: its properties, or
// with 'Full' the whole of it without id, name and type but with what the
// engine knows about it.
func referenceValue(o *value.Object, r *template.Resource, id ids.ID, version string, full bool) value.Value {
	if !full {
		if props, ok := o.Get("properties"); ok && props != nil {
			return props
		}
		return value.NewObject(0)
	}
	out := value.NewObject(o.Len() + 10)
	apiVersion := version
	if r != nil {
		apiVersion = r.APIVersion
	}
	out.Set("apiVersion", apiVersion)
	for _, member := range o.Members() {
		switch strings.ToLower(member.Name) {
		case "id", "name", "type":
		default:
			out.Set(member.Name, member.Value)
		}
	}
	out.Set("subscriptionId", id.Subscription)
	out.Set("resourceGroupName", id.ResourceGroup)
	out.Set("resourceId", id.Type()+"/"+strings.Join(id.Names(), "/"))
	out.Set("referenceApiVersion", version)
	out.Set("condition", true)
	out.Set("isConditionTrue", true)
	out.Set("isTemplateResource", r != nil)
	out.Set("isAction", false)
	out.Set("provisioningOperation", "Read")
	return out
}

// isMissing tells that a resource does not exist.
func isMissing(err error) bool {
	var wire *azerr.Error
	return errors.As(err, &wire) && wire.Status == http.StatusNotFound
}
