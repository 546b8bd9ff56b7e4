package template

import (
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/azerr"
)

// finder resolves the ways a template names its own resources.
type finder struct {
	p      *Program
	byID   map[string][]*Resource // full id
	byPath map[string][]*Resource // Type/name
	byName map[string][]*Resource // bare name
	byLoop map[string][]*Resource // copy loop
}

func (p *Program) finder() *finder {
	f := &finder{p: p, byID: map[string][]*Resource{}, byPath: map[string][]*Resource{}, byName: map[string][]*Resource{}, byLoop: map[string][]*Resource{}}
	for _, r := range p.Resources {
		if r.ID != "" {
			key := strings.ToLower(r.ID)
			f.byID[key] = append(f.byID[key], r)
			path := strings.ToLower(r.Type + "/" + r.Name)
			f.byPath[path] = append(f.byPath[path], r)
			name := strings.ToLower(r.Name)
			f.byName[name] = append(f.byName[name], r)
		}
		if r.Loop != "" {
			loop := strings.ToLower(r.Loop)
			f.byLoop[loop] = append(f.byLoop[loop], r)
		}
	}
	return f
}

// find returns the resources a text names; empty when it names none here.
func (f *finder) find(text string) []*Resource {
	key := strings.ToLower(strings.TrimSuffix(text, "/"))
	if r := f.p.bySymbol(text); r != nil {
		return []*Resource{r}
	}
	if list := f.p.symbols[key]; len(list) > 0 {
		return list
	}
	if strings.HasPrefix(key, "/") {
		return f.byID[groupForm(key)]
	}
	for _, table := range []map[string][]*Resource{f.byPath, f.byLoop, f.byName} {
		if list := table[key]; len(list) > 0 {
			return list
		}
	}
	// Type/name with the pairs interleaved: the tail of an id.
	if id, ok := relativeID(key); ok {
		if list := f.byID[strings.ToLower(f.p.src.Scope.ID())+id]; len(list) > 0 {
			return list
		}
	}
	return nil
}

// groupForm turns …/providers/microsoft.resources/resourcegroups/g into the
// group's own id.
func groupForm(key string) string {
	head, name, ok := strings.Cut(key, "/providers/microsoft.resources/resourcegroups/")
	if ok && strings.Count(head, "/") == 2 && !strings.Contains(name, "/") {
		return head + "/resourcegroups/" + name
	}
	return key
}

// link resolves dependsOn and references to edges and refuses cycles.
func (p *Program) link() error {
	f := p.finder()
	for _, r := range p.Resources {
		needs := map[int]bool{}
		add := func(list []*Resource) {
			for _, q := range list {
				if q != r && q.Condition {
					needs[q.index] = true
				}
			}
		}
		if err := p.dependsOn(r, f, add); err != nil {
			return err
		}
		for _, t := range r.targets {
			add(f.find(t))
		}
		if r.serial >= 0 {
			for _, q := range p.Resources {
				if q.node == r.node && q.parent == r.parent && q.Index >= r.serial && q.Index < r.Index && q.serial < r.serial {
					needs[q.index] = true
				}
			}
		}
		r.Needs = make([]int, 0, len(needs))
		for i := range needs {
			r.Needs = append(r.Needs, i)
		}
		slices.Sort(r.Needs)
	}
	return p.checkCycles()
}

func (p *Program) dependsOn(r *Resource, f *finder, add func([]*Resource)) error {
	n := r.node.Get("dependsOn")
	if n.IsNull() || !r.Condition {
		return nil
	}
	env := p.resourceEnv(r)
	if n.Kind == relaxed.Scalar {
		v, err := env.Node(n)
		if err != nil {
			return p.dependsError(r, n, err)
		}
		n = relaxed.FromValue(v, n.Line, n.Column)
	}
	if n.Kind != relaxed.Array {
		return invalid(n, r.Path, "The template resource '%s' at line '%d' and column '%d' is not valid: dependsOn must be an array of strings. %s", r.Name, r.Line, r.Column, seeResources)
	}
	for _, item := range n.Items {
		v, err := env.Node(item)
		if err != nil {
			return p.dependsError(r, item, err)
		}
		text, ok := v.(string)
		if v == nil || ok && text == "" {
			continue
		}
		if !ok {
			return invalid(item, r.Path, "The template resource '%s' at line '%d' and column '%d' is not valid: dependsOn must be an array of strings. %s", r.Name, r.Line, r.Column, seeResources)
		}
		list := f.find(text)
		if len(list) == 0 && p.EmptyLoop(text) {
			continue
		}
		if len(list) == 0 {
			return invalid(item, r.Path, "The resource '%s' is not defined in the template. Please see https://aka.ms/arm-template for usage details.", shortID(text))
		}
		if len(list) == 1 && list[0] == r {
			return circular(r)
		}
		r.explain = append(r.explain, text)
		add(list)
	}
	return nil
}

func (p *Program) dependsError(r *Resource, n *relaxed.Node, err error) error {
	if !isOurs(err) && !deferredIn(err) {
		return err
	}
	if deferredIn(err) && p.src.Partial {
		return nil
	}
	return invalid(n, r.Path, "The template resource '%s' at line '%d' and column '%d' is not valid: %s", r.Name, r.Line, r.Column, reason(err))
}

// shortID is Type/name of a full id, which is what the service prints.
func shortID(id string) string {
	if i := strings.LastIndex(strings.ToLower(id), "/providers/"); i >= 0 {
		parts := strings.Split(id[i+len("/providers/"):], "/")
		if len(parts) >= 3 && len(parts)%2 == 1 {
			types, names := []string{parts[0]}, []string{}
			for j := 1; j < len(parts); j += 2 {
				types, names = append(types, parts[j]), append(names, parts[j+1])
			}
			return strings.Join(types, "/") + "/" + strings.Join(names, "/")
		}
	}
	return id
}

// checkCycles refuses resources that wait for themselves.
func (p *Program) checkCycles() error {
	const unseen, open, done = 0, 1, 2
	state := make([]uint8, len(p.Resources))
	type frame struct{ r, next int }
	for start := range p.Resources {
		if state[start] != unseen {
			continue
		}
		stack := []frame{{start, 0}}
		state[start] = open
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			r := p.Resources[top.r]
			if top.next == len(r.Needs) {
				state[top.r] = done
				stack = stack[:len(stack)-1]
				continue
			}
			need := r.Needs[top.next]
			top.next++
			switch state[need] {
			case open:
				return circular(p.Resources[need])
			case unseen:
				state[need] = open
				stack = append(stack, frame{need, 0})
			}
		}
	}
	return nil
}

func circular(r *Resource) error {
	return azerr.InvalidTemplate("Circular dependency detected on resource: '"+r.ID+"'. Please see https://aka.ms/arm-syntax-resources#dependson for usage details.", r.Line, r.Column, r.Path)
}

// Find resolves a name, symbol, loop, Type/name or id to resources of the template.
func (p *Program) Find(text string) []*Resource { return p.finder().find(text) }

// RelativeID is the full id of "Type/name" in a scope; ok is false when text
// has no such form.
func RelativeID(scope *eval.Scope, text string) (id string, ok bool) {
	if path, ok := relativeID(text); ok {
		return scope.ID() + path, true
	}
	return "", false
}

// EmptyLoop reports whether name is a copy loop that has no instances.
func (p *Program) EmptyLoop(name string) bool { return p.emptyLoops[strings.ToLower(name)] }
