package parse

import (
	"fmt"

	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/token"
)

// Limits on nesting and on chains of binary operators; beyond them a query is refused rather than risking the stack.
const (
	maxDepth = 100
	maxChain = 500
)

// Error is a refusal at a byte offset. Unsupported marks text that is valid in the language and not built here.
type Error struct {
	Pos         int
	Message     string
	Unsupported bool
}

func (e *Error) Error() string { return e.Message }

// Script parses a request text: statements separated by semicolons, at least one of them tabular.
func Script(text string) (*ast.Script, error) {
	p, err := newParser(text)
	if err != nil {
		return nil, err
	}
	return p.script()
}

// Expr parses text that is exactly one scalar or tabular expression.
func Expr(text string) (ast.Expr, error) {
	p, err := newParser(text)
	if err != nil {
		return nil, err
	}
	x, err := p.pipeline()
	if err != nil {
		return nil, err
	}
	if p.tok().Kind != token.EOF {
		return nil, p.unexpected("the end of the expression")
	}
	return x, nil
}

func newParser(text string) (*parser, error) {
	toks, err := token.Lex(text)
	if err != nil {
		le := err.(*token.Error) // Lex documents its error type
		return nil, &Error{Pos: le.Pos, Message: le.Message}
	}
	return &parser{toks: toks, text: text, operators: operatorTable()}, nil
}

type parser struct {
	toks  []token.Token
	i     int
	depth int
	text  string

	operators map[string]operatorFunc
}

func (p *parser) tok() token.Token { return p.toks[p.i] }

func (p *parser) ahead(n int) token.Token {
	if p.i+n < len(p.toks) {
		return p.toks[p.i+n]
	}
	return p.toks[len(p.toks)-1]
}

func (p *parser) advance() token.Token {
	t := p.toks[p.i]
	if p.i < len(p.toks)-1 {
		p.i++
	}
	return t
}

func (p *parser) at() ast.At { return ast.At(p.tok().Pos) }

func (p *parser) isPunct(s string) bool {
	t := p.tok()
	return t.Kind == token.Punct && t.Text == s
}

// isWord reports whether the current token is the unquoted word.
func (p *parser) isWord(s string) bool {
	t := p.tok()
	return t.Kind == token.Ident && !t.Quoted && t.Text == s
}

func (p *parser) accept(s string) bool {
	if p.isPunct(s) {
		p.advance()
		return true
	}
	return false
}

func (p *parser) acceptWord(s string) bool {
	if p.isWord(s) {
		p.advance()
		return true
	}
	return false
}

func (p *parser) expect(s string) error {
	if p.accept(s) {
		return nil
	}
	return p.unexpected("'" + s + "'")
}

func (p *parser) expectWord(s string) error {
	if p.acceptWord(s) {
		return nil
	}
	return p.unexpected("'" + s + "'")
}

func (p *parser) unexpected(want string) error {
	return p.errorf(p.tok().Pos, "expected %s and found %s", want, p.tok())
}

func (p *parser) errorf(pos int, format string, args ...any) error {
	return &Error{Pos: pos, Message: fmt.Sprintf(format, args...)}
}

func (p *parser) unsupported(pos int, format string, args ...any) error {
	return &Error{Pos: pos, Message: fmt.Sprintf(format, args...), Unsupported: true}
}

func (p *parser) enter() error {
	p.depth++
	if p.depth > maxDepth {
		return p.errorf(p.tok().Pos, "the query is nested too deeply (limit %d)", maxDepth)
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

// name reads a plain or quoted identifier. Type words may be names too.
func (p *parser) name(what string) (string, error) {
	t := p.tok()
	if t.Kind != token.Ident {
		return "", p.unexpected(what)
	}
	p.advance()
	return t.Value, nil
}

// hyphenated reads an operator word such as project-away, whose parts the lexer gives apart.
func (p *parser) hyphenated() string {
	t := p.tok()
	if t.Kind != token.Ident || t.Quoted {
		return ""
	}
	word, end := t.Text, t.End
	n := 1
	for {
		dash, next := p.ahead(n), p.ahead(n+1)
		if dash.Kind != token.Punct || dash.Text != "-" || dash.Pos != end || next.Kind != token.Ident || next.Pos != dash.End {
			break
		}
		word, end = word+"-"+next.Text, next.End
		n += 2
	}
	return word
}

// skipHyphenated consumes what hyphenated read.
func (p *parser) skipHyphenated(word string) {
	p.advance()
	for _, c := range word {
		if c == '-' {
			p.advance()
			p.advance()
		}
	}
}
