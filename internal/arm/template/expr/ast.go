package expr

import (
	"strconv"
	"strings"
)

// Expr is one of *Call, *Text, *Int, *Property and *Index.
type Expr interface {
	// String prints the expression, without the outer brackets, so that Parse
	// gives an equal tree.
	String() string
	write(b *strings.Builder)
}

// Call is a function call. Name is as written; a dotted name is a user function.
type Call struct {
	Name string
	Args []Expr
	// At is the offset of the name in the expression's text.
	At int
}

// Text is a string constant.
type Text struct{ Value string }

// Int is an integer constant.
type Int struct{ Value int64 }

// Property is X.Name.
type Property struct {
	X    Expr
	Name string
}

// Index is X[At].
type Index struct {
	X  Expr
	At Expr
}

func (e *Call) write(b *strings.Builder) {
	b.WriteString(e.Name)
	b.WriteByte('(')
	for i, a := range e.Args {
		if i > 0 {
			b.WriteString(", ")
		}
		a.write(b)
	}
	b.WriteByte(')')
}

func (e *Text) write(b *strings.Builder) {
	b.WriteByte('\'')
	b.WriteString(strings.ReplaceAll(e.Value, "'", "''"))
	b.WriteByte('\'')
}

func (e *Int) write(b *strings.Builder) { b.WriteString(strconv.FormatInt(e.Value, 10)) }

func (e *Property) write(b *strings.Builder) {
	e.X.write(b)
	if !isIdent(e.Name) { // made by a program, not by Parse
		b.WriteByte('[')
		(&Text{e.Name}).write(b)
		b.WriteByte(']')
		return
	}
	b.WriteByte('.')
	b.WriteString(e.Name)
}

func (e *Index) write(b *strings.Builder) {
	e.X.write(b)
	b.WriteByte('[')
	e.At.write(b)
	b.WriteByte(']')
}

func text(e Expr) string {
	var b strings.Builder
	e.write(&b)
	return b.String()
}

// String prints the call.
func (e *Call) String() string { return text(e) }

// String prints the constant in single quotes.
func (e *Text) String() string { return text(e) }

// String prints the number.
func (e *Int) String() string { return text(e) }

// String prints X and the property.
func (e *Property) String() string { return text(e) }

// String prints X and the index.
func (e *Index) String() string { return text(e) }

// Walk calls fn for e and everything below it, parents first, as long as fn
// returns true.
func Walk(e Expr, fn func(Expr) bool) {
	if !fn(e) {
		return
	}
	switch e := e.(type) {
	case *Call:
		for _, a := range e.Args {
			Walk(a, fn)
		}
	case *Property:
		Walk(e.X, fn)
	case *Index:
		Walk(e.X, fn)
		Walk(e.At, fn)
	}
}

// IsExpression reports whether a template string is an expression: it begins
// with a single '[' and ends with ']'.
func IsExpression(s string) bool {
	return len(s) >= 2 && s[0] == '[' && s[len(s)-1] == ']' && s[1] != '['
}

// Literal is what a template string that is not an expression means: a string
// that begins with "[[" and ends with "]" loses its first character.
func Literal(s string) string {
	if len(s) >= 3 && s[0] == '[' && s[1] == '[' && s[len(s)-1] == ']' {
		return s[1:]
	}
	return s
}

// Escape is the template string that means s.
func Escape(s string) string {
	if len(s) >= 2 && s[0] == '[' && s[len(s)-1] == ']' {
		return "[" + s
	}
	return s
}
