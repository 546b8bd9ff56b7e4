package filter

import (
	"fmt"
	"slices"
	"strings"
)

// maxDepth bounds parentheses, so that no text can exhaust the stack.
const maxDepth = 50

// Parse reads a filter. allowed are the properties the list has; none means
// all. The error says what is not understood, and at which position (from 1).
func Parse(text string, allowed ...string) (Expr, error) {
	p := &parser{text: text, allowed: allowed}
	p.next()
	e, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if p.token != "" {
		return nil, p.fail("unexpected %s", p.token)
	}
	return e, nil
}

type parser struct {
	text    string
	allowed []string
	pos     int    // behind token
	start   int    // of token
	token   string // a word, a punctuation character, or a quoted string with its quotes; "" at the end
}

func (p *parser) fail(format string, args ...any) error {
	return fmt.Errorf("%s at position %d", fmt.Sprintf(format, args...), p.start+1)
}

// next reads one token. A string without its end is a token without one.
func (p *parser) next() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
	p.start = p.pos
	switch {
	case p.pos == len(p.text):
	case strings.IndexByte("(),", p.text[p.pos]) >= 0:
		p.pos++
	case p.text[p.pos] == '\'':
		p.pos++
		for p.pos < len(p.text) {
			if p.text[p.pos] != '\'' {
				p.pos++
				continue
			}
			p.pos++
			if p.pos == len(p.text) || p.text[p.pos] != '\'' {
				break
			}
			p.pos++ // a doubled quote stands for one
		}
	default:
		for p.pos < len(p.text) && strings.IndexByte(" \t\r\n(),'", p.text[p.pos]) < 0 {
			p.pos++
		}
	}
	p.token = p.text[p.start:p.pos]
}

func (p *parser) or(depth int) (Expr, error) {
	left, err := p.and(depth)
	for err == nil && is(p.token, "or") {
		p.next()
		var right Expr
		right, err = p.and(depth)
		left = Or{left, right}
	}
	return left, err
}

func (p *parser) and(depth int) (Expr, error) {
	left, err := p.primary(depth)
	for err == nil && is(p.token, "and") {
		p.next()
		var right Expr
		right, err = p.primary(depth)
		left = And{left, right}
	}
	return left, err
}

func (p *parser) primary(depth int) (Expr, error) {
	switch {
	case depth > maxDepth:
		return nil, p.fail("the filter is nested too deeply")
	case p.token == "(":
		p.next()
		e, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		return e, p.expect(")")
	case is(p.token, "substringof"):
		return p.function(false)
	case is(p.token, "startswith"):
		return p.function(true)
	}
	return p.compare()
}

func (p *parser) compare() (Expr, error) {
	property, err := p.property()
	if err != nil {
		return nil, err
	}
	e := Compare{Property: property}
	switch {
	case is(p.token, "eq"):
	case is(p.token, "ne") && !isTag(property):
		e.NotEqual = true
	default:
		return nil, p.fail("the operator '%s' is not supported for '%s'", p.token, property)
	}
	p.next()
	e.Value, err = p.literal()
	return e, err
}

// function reads substringof('x', p) or startswith(p, 'x').
func (p *parser) function(prefix bool) (Expr, error) {
	e := Text{Prefix: prefix}
	p.next()
	err := p.expect("(")
	if err == nil && prefix {
		e.Property, err = p.property()
	} else if err == nil {
		e.Value, err = p.literal()
	}
	if err == nil {
		err = p.expect(",")
	}
	if err == nil && prefix {
		e.Value, err = p.literal()
	} else if err == nil {
		e.Property, err = p.property()
	}
	if err == nil {
		err = p.expect(")")
	}
	return e, err
}

func (p *parser) expect(token string) error {
	if p.token != token {
		return p.fail("'%s' is expected", token)
	}
	p.next()
	return nil
}

func (p *parser) property() (string, error) {
	for _, known := range properties() {
		if is(known, p.token) && (len(p.allowed) == 0 || slices.Contains(p.allowed, known)) {
			p.next()
			return known, nil
		}
	}
	if p.token == "" {
		return "", p.fail("the filter ends early")
	}
	return "", p.fail("the property or function '%s' is not supported", p.token)
}

func (p *parser) literal() (string, error) {
	t := p.token
	if len(t) < 2 || t[0] != '\'' || t[len(t)-1] != '\'' {
		return "", p.fail("a string in single quotes is expected")
	}
	if strings.Count(t, "'")%2 != 0 { // the last quote is half of a doubled one
		return "", p.fail("the string has no end")
	}
	p.next()
	return strings.ReplaceAll(t[1:len(t)-1], "''", "'"), nil
}
