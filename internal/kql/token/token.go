package token

import "fmt"

// Kind is the class of a token.
type Kind uint8

// The token kinds.
const (
	EOF     Kind = iota
	Ident        // a word, or a quoted name (Quoted)
	Number       // a whole or real number without unit
	Span         // a number with a timespan unit
	String       // a string literal; Value holds the unescaped text
	Typed        // a typed literal such as datetime(…): Text is the type word, Value the raw content
	Punct        // an operator or a delimiter
	NegWord      // a word operator with a leading '!' or a trailing '~', such as !in~ or has
)

// Token is one lexical element. Pos is its byte offset, End the offset after it.
type Token struct {
	Kind  Kind
	Text  string // as an operator, word or number is written
	Value string // the content of strings, quoted names and typed literals
	Pos   int
	End   int
	// Quoted marks names written as ['…']; Secret marks literals that logs must not show.
	Quoted, Secret bool
}

// String describes the token for an error message.
func (t Token) String() string {
	switch t.Kind {
	case EOF:
		return "end of query"
	case String:
		return "string literal"
	case Typed:
		return t.Text + "(…)"
	}
	return "'" + t.Text + "'"
}

// Error is a place at which the text has no tokens.
type Error struct {
	Pos     int
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("offset %d: %s", e.Pos, e.Message) }
