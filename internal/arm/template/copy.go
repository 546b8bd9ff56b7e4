package template

import (
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// copyLoop is one copy element: of a resource, a property, a variable or an output.
type copyLoop struct {
	node  *relaxed.Node
	path  string
	name  string
	count *relaxed.Node
	input *relaxed.Node
}

func readCopy(n *relaxed.Node, path string) (*copyLoop, error) {
	if n == nil || n.Kind != relaxed.Object {
		return nil, invalid(n, path, "The template 'copy' definition must be an object. %s", seeCopy)
	}
	l := &copyLoop{node: n, path: path, count: n.Get("count"), input: n.Get("input")}
	l.name, _ = n.Get("name").Text()
	if l.count == nil {
		return nil, invalid(n, path, "The template 'copy' definition at line '%d' and column '%d' has no count. %s", n.Line, n.Column, seeCopy)
	}
	return l, nil
}

// BeforeEmptyLoops tells versions of the deployments API that know no loops
// without instances, and in mode Complete keep what a false condition leaves out.
func BeforeEmptyLoops(version string) bool { return version != "" && version < "2019-05-10" }

// least is the smallest count a loop may have.
func (p *Program) least() int64 {
	if p.src.NoEmptyLoops {
		return 1
	}
	return 0
}

// size computes the count.
func (l *copyLoop) size(env *eval.Env, least int64) (int, error) {
	partial := env.Partial
	env.Partial = false // a count that is not known yet is an error here, not a text
	v, err := env.Node(l.count)
	env.Partial = partial
	if err != nil {
		return 0, err
	}
	n, ok := v.(int64)
	if !ok || n < least || n > maxCopies {
		return 0, eval.Errorf("The template 'copy' definition at line '%d' and column '%d' has an invalid copy count. The copy count must be a postive integer value and cannot exceed '%d'. %s", l.node.Line, l.node.Column, maxCopies, seeCopy)
	}
	return int(n), nil
}

// runCopy evaluates the input once per index.
func (p *Program) runCopy(env *eval.Env, l *copyLoop, byName bool) (value.Value, error) {
	if l.input == nil {
		return nil, eval.Errorf("The template 'copy' definition at line '%d' and column '%d' has no input. %s", l.node.Line, l.node.Column, seeCopy)
	}
	n, err := l.size(env, p.least())
	if err != nil {
		return nil, err
	}
	out := make([]value.Value, n)
	outer := env.Loop
	defer func() { env.Loop = outer }()
	for i := range out {
		env.Loop = &eval.Loop{Name: l.name, Index: int64(i), ByName: byName, Outer: outer}
		if out[i], err = p.node(env, l.input, byName); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// copies returns the loops of a property copy: the member "copy" of an object
// when it is an array of copy definitions. A definition that lacks one of its
// three members is still one, and refused when it runs.
func copies(n *relaxed.Node) ([]*copyLoop, bool) {
	c := n.Get("copy")
	if c == nil || c.Kind != relaxed.Array || len(c.Items) == 0 {
		return nil, false
	}
	loops := make([]*copyLoop, len(c.Items))
	for i, item := range c.Items {
		has := 0
		for _, name := range []string{"name", "count", "input"} {
			if item.Get(name) != nil {
				has++
			}
		}
		if has < 2 {
			return nil, false
		}
		loops[i] = &copyLoop{node: item, count: item.Get("count"), input: item.Get("input")}
		loops[i].name, _ = item.Get("name").Text()
	}
	return loops, true
}

// node is eval.Env.Node with property copy. In properties (byName) copyIndex()
// without a name means the resource's loop.
func (p *Program) node(env *eval.Env, n *relaxed.Node, byName bool) (value.Value, error) {
	if n == nil {
		return nil, nil
	}
	if err := env.Spend(1); err != nil {
		return nil, err
	}
	switch n.Kind {
	case relaxed.Array:
		out := make([]value.Value, len(n.Items))
		for i, item := range n.Items {
			v, err := p.node(env, item, byName)
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	case relaxed.Object:
		loops, isCopy := copies(n)
		out := value.NewObject(len(n.Members))
		var waiting []value.Value // loops whose count is not known yet
		for _, m := range n.Members {
			if isCopy && strings.EqualFold(m.Name, "copy") {
				for _, l := range loops {
					if l.name == "" {
						return nil, eval.Errorf("The template 'copy' definition at line '%d' and column '%d' has no name. %s", l.node.Line, l.node.Column, seeCopy)
					}
					v, err := p.runCopy(env, l, byName)
					if deferredIn(err) && byName && env.Partial {
						env.Unresolved++
						waiting = append(waiting, l.node.Value())
						out.Set("copy", waiting)
						continue
					}
					if err != nil {
						return nil, err
					}
					out.Set(l.name, v)
				}
				continue
			}
			name, err := env.Name(m.Name)
			if err != nil {
				return nil, err
			}
			v, err := p.node(env, m.Node, byName)
			if err != nil {
				return nil, err
			}
			out.Set(name, v)
		}
		return out, nil
	}
	return env.Node(n)
}
