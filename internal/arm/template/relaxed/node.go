package relaxed

import (
	"fmt"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// Kind tells objects and arrays from scalars.
type Kind uint8

// The kinds of a node.
const (
	Scalar Kind = iota
	Array
	Object
)

// Node is one JSON value with its place in the text.
type Node struct {
	// Line counts from 1. Column is the number of characters of that line that
	// had been read when the node was recognised: the place of an object's or
	// array's opening bracket, the last character of a scalar. These are the
	// numbers the service prints.
	Line, Column int
	// EndLine and EndColumn are the place of an object's closing bracket.
	EndLine, EndColumn int
	Kind               Kind
	// Scalar is the value of a scalar: nil, bool, int64, *big.Int, float64 or string.
	Scalar value.Value
	// Items are an array's elements.
	Items []*Node
	// Members are an object's members, names distinct, in the order of their
	// first appearance.
	Members []Member
}

// Member is one named member of an object node.
type Member struct {
	Name string
	Node *Node
	// Line and Column are the place of the colon behind the name.
	Line, Column int
}

// Get finds a member by name, exactly or else without regard to case; nil when
// n is not an object or has no such member.
func (n *Node) Get(name string) *Node {
	if n == nil || n.Kind != Object {
		return nil
	}
	var folded *Node
	for i := range n.Members {
		if n.Members[i].Name == name {
			return n.Members[i].Node
		}
		if folded == nil && strings.EqualFold(n.Members[i].Name, name) {
			folded = n.Members[i].Node
		}
	}
	return folded
}

// Text returns the string of a string node; ok is false for anything else.
func (n *Node) Text() (text string, ok bool) {
	if n == nil || n.Kind != Scalar {
		return "", false
	}
	text, ok = n.Scalar.(string)
	return text, ok
}

// IsNull reports whether n is absent or the literal null.
func (n *Node) IsNull() bool { return n == nil || n.Kind == Scalar && n.Scalar == nil }

// Value is the node without positions. Nothing is evaluated.
func (n *Node) Value() value.Value {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case Array:
		out := make([]value.Value, len(n.Items))
		for i, item := range n.Items {
			out[i] = item.Value()
		}
		return out
	case Object:
		out := value.NewObject(len(n.Members))
		for _, m := range n.Members {
			out.Set(m.Name, m.Node.Value())
		}
		return out
	}
	return n.Scalar
}

// FromValue makes nodes of a value; every node gets the place line, column.
func FromValue(v value.Value, line, column int) *Node {
	n := &Node{Line: line, Column: column}
	switch v := v.(type) {
	case []value.Value:
		n.Kind = Array
		n.Items = make([]*Node, len(v))
		for i := range v {
			n.Items[i] = FromValue(v[i], line, column)
		}
	case *value.Object:
		n.Kind, n.EndLine, n.EndColumn = Object, line, column
		n.Members = make([]Member, 0, v.Len())
		for _, m := range v.Members() {
			n.Members = append(n.Members, Member{m.Name, FromValue(m.Value, line, column), line, column})
		}
	default:
		n.Scalar = v
	}
	return n
}

// TypeName is the service's name for the node's JSON type.
func (n *Node) TypeName() string {
	switch n.Kind {
	case Array:
		return "Array"
	case Object:
		return "Object"
	}
	return value.TypeName(n.Scalar)
}

// SyntaxError says why a text is not relaxed JSON and where.
type SyntaxError struct {
	Line, Column int
	Path         string
	Message      string
}

// Error is the message with path, line and position, in the reader's style.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s Path '%s', line %d, position %d.", e.Message, e.Path, e.Line, e.Column)
}
