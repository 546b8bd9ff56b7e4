package template

import (
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// maxTypeDepth bounds how deep types are followed; they may refer to themselves.
const maxTypeDepth = 64

// holdsSecret reports whether a value of the type may have a secure part.
func (t *typeSpec) holdsSecret(p *Program, depth int) bool {
	if t.secure {
		return true
	}
	if depth > maxTypeDepth {
		return false
	}
	for _, n := range t.parts() {
		if p.partHoldsSecret(n, depth) {
			return true
		}
	}
	return false
}

func (p *Program) partHoldsSecret(n *relaxed.Node, depth int) bool {
	if n == nil || n.Kind != relaxed.Object {
		return false
	}
	if ref, ok := n.Get("$ref").Text(); ok {
		if p.following[ref] { // a type that contains itself: looked at already
			return false
		}
		if p.following == nil {
			p.following = map[string]bool{}
		}
		p.following[ref] = true
		defer delete(p.following, ref)
	}
	spec, err := p.readTypeDepth(n, "", depth+1)
	return err == nil && spec.holdsSecret(p, depth+1)
}

// parts are the declarations of the type's parts.
func (t *typeSpec) parts() []*relaxed.Node {
	out := append([]*relaxed.Node{t.items, t.additional}, t.prefix...)
	for _, n := range t.properties {
		out = append(out, n)
	}
	if t.mapping != nil {
		for _, m := range t.mapping.Members {
			out = append(out, m.Node)
		}
	}
	return out
}

// shown is v without its secure parts: the members of objects are left out,
// items of arrays become null.
func (t *typeSpec) shown(p *Program, v value.Value, depth int) value.Value {
	if t.secure || depth > maxTypeDepth {
		return nil
	}
	switch v := v.(type) {
	case []value.Value:
		out := make([]value.Value, len(v))
		for i, item := range v {
			part := t.items
			if i < len(t.prefix) {
				part = t.prefix[i]
			}
			out[i], _ = p.shownPart(part, item, depth)
		}
		return out
	case *value.Object:
		if t.pick != "" {
			tag, _ := v.Get(t.pick)
			s, _ := tag.(string)
			shown, _ := p.shownPart(t.mapping.Get(s), v, depth)
			return shown
		}
		out := value.NewObject(v.Len())
		for _, m := range v.Members() {
			part, ok := t.properties[strings.ToLower(m.Name)]
			if !ok {
				part = t.additional
			}
			if w, ok := p.shownPart(part, m.Value, depth); ok {
				out.Set(m.Name, w)
			}
		}
		return out
	}
	return v
}

// shownPart is one part of a value; ok is false for a secret.
func (p *Program) shownPart(n *relaxed.Node, v value.Value, depth int) (shown value.Value, ok bool) {
	if n == nil || n.Kind != relaxed.Object {
		return v, true
	}
	spec, err := p.readTypeDepth(n, "", depth+1)
	if err != nil || spec.secure {
		return nil, false
	}
	return spec.shown(p, v, depth+1), true
}

// Shown is the parameter's value as a response may show it: without the parts
// that its type declares secure, nil when all of it is.
func (p *Program) Shown(q Parameter) value.Value {
	switch {
	case q.Secure:
		return nil
	case !q.Sensitive:
		return q.Value
	}
	spec, err := p.readType(q.node, q.path)
	if err != nil {
		return nil
	}
	return spec.shown(p, q.Value, 0)
}
