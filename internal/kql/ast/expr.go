package ast

import (
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/kql/token"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// Node is a part of the tree.
type Node interface {
	// Pos is the byte offset at which the node starts.
	Pos() int
	// String prints the node as query text.
	String() string
}

// Expr is a scalar or tabular expression.
type Expr interface {
	Node
	expr()
}

// At is the position every node embeds.
type At int

// Pos implements Node.
func (a At) Pos() int { return int(a) }

type (
	// Name is a reference to a column, a let name or an entity.
	Name struct {
		At
		Name string
	}
	// Literal is a constant. Null literals have Null set; otherwise the field of the type holds the value: Int for
	// bool (0, 1), int, long, datetime and timespan (ticks), Real for real, Text for string, decimal, guid and dynamic
	// (compact JSON).
	Literal struct {
		At
		Type   types.Type
		Null   bool
		Int    int64
		Real   float64
		Text   string
		Secret bool
	}
	// Unary is a sign before an operand.
	Unary struct {
		At
		Op string
		X  Expr
	}
	// Binary is an operator between two operands, including the word operators such as has.
	Binary struct {
		At
		Op   string
		L, R Expr
	}
	// In is a membership operator with its list; Op is in, !in, in~, !in~, has_any or has_all.
	In struct {
		At
		Op   string
		X    Expr
		List []Expr
	}
	// Between is X [!]between (Lo .. Hi).
	Between struct {
		At
		Not       bool
		X, Lo, Hi Expr
	}
	// Call is a function call.
	Call struct {
		At
		Name string
		Args []Named
	}
	// Member is X.Name.
	Member struct {
		At
		X    Expr
		Name string
	}
	// Index is X[I].
	Index struct {
		At
		X, I Expr
	}
	// Star is a bare * in an argument or column list; Pattern holds a name with wildcards instead.
	Star struct {
		At
		Pattern string
	}
	// TypeOf is typeof(type).
	TypeOf struct {
		At
		Type types.Type
	}
	// Paren is a parenthesised expression.
	Paren struct {
		At
		X Expr
	}
	// Named is an expression with an optional name before it; several names take the parts of a compound value.
	Named struct {
		At
		Names []string
		X     Expr
	}
)

func (*Name) expr()    {}
func (*Literal) expr() {}
func (*Unary) expr()   {}
func (*Binary) expr()  {}
func (*In) expr()      {}
func (*Between) expr() {}
func (*Call) expr()    {}
func (*Member) expr()  {}
func (*Index) expr()   {}
func (*Star) expr()    {}
func (*TypeOf) expr()  {}
func (*Paren) expr()   {}

// Ident prints a name, quoting it when it is no plain word.
func Ident(name string) string {
	plain := name != ""
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !(c == '_' || c == '$' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9') {
			plain = false
		}
	}
	if _, typed := types.Parse(name); plain && !typed && !reserved[name] {
		return name
	}
	return "[" + token.Quote(name) + "]"
}

// reserved words are quoted in print because a bare one would read as syntax.
var reserved = map[string]bool{
	"and": true, "or": true, "in": true, "has": true, "contains": true, "between": true, "startswith": true, "endswith": true,
	"matches": true, "by": true, "on": true, "to": true, "from": true, "step": true, "asc": true, "desc": true, "nulls": true,
	"true": true, "false": true, "null": true, "print": true, "range": true, "datatable": true, "union": true, "let": true, "set": true,
	"declare": true, "typeof": true, "view": true, "kind": true, "with": true, "of": true, "limit": true, "find": true, "search": true,
	"evaluate": true, "restrict": true, "alias": true, "externaldata": true, "in_cs": true, "materialize": true, "toscalar": true,
	"has_any": true, "has_all": true, "hasprefix": true, "hassuffix": true, "has_cs": true, "contains_cs": true, "like": true, "notlike": true,
	"startswith_cs": true, "endswith_cs": true, "hasprefix_cs": true, "hassuffix_cs": true, "hint": true,
}

func (n *Name) String() string { return Ident(n.Name) }

func (l *Literal) String() string {
	if l.Null {
		return l.Type.String() + "(null)"
	}
	switch l.Type {
	case types.Bool:
		if l.Int != 0 {
			return "true"
		}
		return "false"
	case types.Int:
		return "int(" + strconv.FormatInt(l.Int, 10) + ")"
	case types.Long:
		if l.Int < 0 {
			return "long(" + strconv.FormatInt(l.Int, 10) + ")"
		}
		return strconv.FormatInt(l.Int, 10)
	case types.Real:
		switch s := types.FormatReal(l.Real); s {
		case "NaN":
			return "real(nan)"
		case "Infinity":
			return "real(+inf)"
		case "-Infinity":
			return "real(-inf)"
		default:
			return "real(" + s + ")"
		}
	case types.String:
		if l.Secret {
			return "h" + token.Quote(l.Text)
		}
		return token.Quote(l.Text)
	case types.DateTime:
		return "datetime(" + types.FormatDateTime(l.Int) + ")"
	case types.TimeSpan:
		return "timespan(" + types.FormatTimeSpan(l.Int) + ")"
	}
	return l.Type.String() + "(" + l.Text + ")"
}

func (u *Unary) String() string { return u.Op + u.X.String() }

func (b *Binary) String() string { return b.L.String() + " " + b.Op + " " + b.R.String() }

func (n *In) String() string { return n.X.String() + " " + n.Op + " (" + join(n.List) + ")" }

func (b *Between) String() string {
	op := " between ("
	if b.Not {
		op = " !between ("
	}
	return b.X.String() + op + b.Lo.String() + " .. " + b.Hi.String() + ")"
}

func (c *Call) String() string {
	if c.Name != "" && c.Name[0] == '.' { // a method on an entity, such as database("d").table("T")
		return c.Args[0].String() + c.Name + "(" + joinNamed(c.Args[1:]) + ")"
	}
	return c.Name + "(" + joinNamed(c.Args) + ")"
}

func (m *Member) String() string { return m.X.String() + "." + Ident(m.Name) }

func (i *Index) String() string { return i.X.String() + "[" + i.I.String() + "]" }

func (s *Star) String() string {
	if s.Pattern != "" {
		return s.Pattern
	}
	return "*"
}

func (t *TypeOf) String() string { return "typeof(" + t.Type.String() + ")" }

func (p *Paren) String() string { return "(" + p.X.String() + ")" }

// String prints the name, when there is one, and the expression.
func (n Named) String() string {
	switch len(n.Names) {
	case 0:
		return n.X.String()
	case 1:
		return Ident(n.Names[0]) + " = " + n.X.String()
	}
	return "(" + idents(n.Names) + ") = " + n.X.String()
}

func idents(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = Ident(n)
	}
	return strings.Join(out, ", ")
}

func join[E Node](list []E) string {
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = e.String()
	}
	return strings.Join(out, ", ")
}

func joinNamed(list []Named) string { return join(list) }
