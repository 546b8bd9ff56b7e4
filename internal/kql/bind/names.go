package bind

import (
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/funcs"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// NameOf is the name an unnamed expression gives its column, or empty when the operator numbers it.
func NameOf(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.Name:
		return x.Name
	case *ast.Paren:
		return NameOf(x.X)
	case *ast.Member:
		if l := NameOf(x.X); l != "" {
			return l + "_" + x.Name
		}
	case *ast.Index:
		l := NameOf(x.X)
		i, ok := x.I.(*ast.Literal)
		if l == "" || !ok {
			return ""
		}
		switch i.Type {
		case types.String:
			return l + "_" + i.Text
		case types.Long:
			return l + "_" + strconv.FormatInt(i.Int, 10)
		}
	case *ast.Call:
		return callName(x)
	}
	return ""
}

func callName(c *ast.Call) string {
	first := ""
	if len(c.Args) > 0 {
		first = NameOf(c.Args[0].X)
	}
	if a, ok := funcs.LookupAggregate(c.Name); ok {
		if a.First {
			return first
		}
		return a.Prefix + "_" + first
	}
	switch c.Name {
	case "column_ifexists", "columnifexists":
		return ""
	}
	f, ok := funcs.Lookup(c.Name)
	if !ok || first == "" {
		return ""
	}
	switch f.Naming {
	case funcs.First:
		return first
	case funcs.NameAndFirst:
		return c.Name + "_" + first
	case funcs.PrefixAndFirst:
		return f.Prefix + "_" + first
	}
	return ""
}

// Names hands out column names that do not repeat.
type Names struct {
	used map[string]bool
	n    int
}

// NewNames starts with the columns that are already there.
func NewNames(cols []plan.Column) *Names {
	n := &Names{used: map[string]bool{}}
	for _, c := range cols {
		n.used[c.Name] = true
	}
	return n
}

// Take reserves a name; false when it is taken.
func (n *Names) Take(name string) bool {
	if n.used[name] {
		return false
	}
	n.used[name] = true
	return true
}

// Unique reserves the name, or the name with the first free number behind it.
func (n *Names) Unique(name string) string {
	base := name
	for i := 1; n.used[name]; i++ {
		name = base + strconv.Itoa(i)
	}
	n.used[name] = true
	return name
}

// Auto reserves a name for an unnamed expression: its own, or Column1, Column2, …
func (n *Names) Auto(own string) string {
	if own != "" {
		return n.Unique(own)
	}
	for {
		n.n++
		if name := "Column" + strconv.Itoa(n.n); n.Take(name) {
			return name
		}
	}
}

// Match reports whether a column name fits a pattern with stars.
func Match(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(name, p)
		if i < 0 {
			return false
		}
		name = name[i+len(p):]
	}
	return strings.HasSuffix(name, parts[len(parts)-1])
}
