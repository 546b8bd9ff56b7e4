package expr

import "fmt"

// MaxLength is the service's limit on the characters of one expression.
const MaxLength = 24576

// maxDepth bounds recursion; the length limit alone would allow 12,000 levels.
const maxDepth = 1000

// Error says why a text is not an expression. At counts characters from the
// first one after the opening bracket.
type Error struct {
	Text string
	At   int
	// One of these says what is wrong.
	Unterminated     bool   // a string constant has no closing quote
	Unexpected       string // a character that begins no token
	Number           string // digits that are no 64-bit integer
	Expected, Actual string // token kinds
	TooDeep          bool
	TooLong          int
}

// Error is the service's text.
func (e *Error) Error() string {
	switch {
	case e.TooLong > 0:
		return fmt.Sprintf("The language expression length limit exceeded. Limit: '%d' and actual: '%d'.", MaxLength, e.TooLong)
	case e.Unterminated:
		return fmt.Sprintf("The language expression '%s' is not valid: the string constant at position '%d' is not terminated. String constants must be enclosed within a pair of single quotes.", e.Text, e.At)
	case e.Unexpected != "":
		return fmt.Sprintf("The language expression '%s' is not valid: the string character '%s' at position '%d' is not expected.", e.Text, e.Unexpected, e.At)
	case e.Number != "":
		return fmt.Sprintf("The language expression '%s' is not valid: the value '%s' at position '%d' cannot be converted to number.", e.Text, e.Number, e.At)
	case e.TooDeep:
		return fmt.Sprintf("The language expression '%s' is not valid: the expression at position '%d' is nested too deeply.", e.Text, e.At)
	}
	return fmt.Sprintf("Unable to parse language expression '%s': expected token '%s' and actual '%s'.", e.Text, e.Expected, e.Actual)
}

// Template parses a template string for which IsExpression holds.
func Template(s string) (Expr, error) { return Parse(s[1 : len(s)-1]) }

// Parse parses an expression without its outer brackets. The error is an *Error.
func Parse(text string) (Expr, error) {
	if len(text) > MaxLength {
		return nil, &Error{Text: text, TooLong: len(text)}
	}
	p := &parser{lex: lexer{text: text}}
	if err := p.step(); err != nil {
		return nil, err
	}
	e, err := p.expr(0)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != kindEnd {
		return nil, p.want(kindEnd)
	}
	return e, nil
}

type parser struct {
	lex lexer
	tok token
}

func (p *parser) step() (err error) {
	p.tok, err = p.lex.next()
	return err
}

func (p *parser) want(k kind) error {
	return &Error{Text: p.lex.text, At: p.lex.position(p.tok.at), Expected: string(k), Actual: string(p.tok.kind)}
}

func (p *parser) take(k kind) error {
	if p.tok.kind != k {
		return p.want(k)
	}
	return p.step()
}

func (p *parser) expr(depth int) (Expr, error) {
	if depth > maxDepth {
		return nil, &Error{Text: p.lex.text, At: p.lex.position(p.tok.at), TooDeep: true}
	}
	e, err := p.primary(depth)
	if err != nil {
		return nil, err
	}
	for ; depth <= maxDepth; depth++ { // an accessor is a level of the tree as well
		switch p.tok.kind {
		case kindDot:
			if err := p.step(); err != nil {
				return nil, err
			}
			name := p.tok.text
			if err := p.take(kindIdent); err != nil {
				return nil, err
			}
			e = &Property{e, name}
		case kindOpenI:
			if err := p.step(); err != nil {
				return nil, err
			}
			at, err := p.expr(depth + 1)
			if err != nil {
				return nil, err
			}
			if err := p.take(kindCloseI); err != nil {
				return nil, err
			}
			e = &Index{e, at}
		default:
			return e, nil
		}
	}
	return nil, &Error{Text: p.lex.text, At: p.lex.position(p.tok.at), TooDeep: true}
}

func (p *parser) primary(depth int) (Expr, error) {
	tok := p.tok
	switch tok.kind {
	case kindText:
		return &Text{tok.text}, p.step()
	case kindInt:
		return &Int{tok.num}, p.step()
	case kindIdent:
		return p.call(depth)
	}
	return nil, p.want(kindIdent)
}

func (p *parser) call(depth int) (Expr, error) {
	c := &Call{Name: p.tok.text, At: p.lex.position(p.tok.at)}
	if err := p.step(); err != nil {
		return nil, err
	}
	for p.tok.kind == kindDot {
		if err := p.step(); err != nil {
			return nil, err
		}
		c.Name += "." + p.tok.text
		if err := p.take(kindIdent); err != nil {
			return nil, err
		}
	}
	if err := p.take(kindOpen); err != nil {
		return nil, err
	}
	if p.tok.kind == kindClose {
		return c, p.step()
	}
	for {
		a, err := p.expr(depth + 1)
		if err != nil {
			return nil, err
		}
		c.Args = append(c.Args, a)
		if p.tok.kind != kindComma {
			return c, p.take(kindClose)
		}
		if err := p.step(); err != nil {
			return nil, err
		}
	}
}
