package parse

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/token"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// dynamic parses the content of dynamic(…): JSON that may hold single-quoted strings and typed literals. The literal's
// Text becomes compact JSON with members in the order written.
func (p *parser) dynamic(l *ast.Literal, raw string) (ast.Expr, error) {
	text, err := p.dynamicText(int(l.At), raw)
	if err != nil {
		return nil, err
	}
	if text == "null" {
		l.Null = true
		return l, nil
	}
	l.Text = text
	return l, nil
}

func (p *parser) dynamicText(pos int, raw string) (string, error) {
	if err := p.enter(); err != nil {
		return "", err
	}
	defer p.leave()
	toks, err := token.Lex(raw)
	if err != nil {
		return "", p.errorf(pos, "the text in dynamic(…) is not valid: %s", err.(*token.Error).Message)
	}
	d := &dynamicParser{p: p, pos: pos, toks: toks}
	var b strings.Builder
	if err := d.value(&b); err != nil {
		return "", err
	}
	if d.tok().Kind != token.EOF {
		return "", d.bad()
	}
	return b.String(), nil
}

type dynamicParser struct {
	p    *parser
	pos  int
	toks []token.Token
	i    int
}

func (d *dynamicParser) tok() token.Token { return d.toks[d.i] }

func (d *dynamicParser) next() token.Token {
	t := d.toks[d.i]
	if d.i < len(d.toks)-1 {
		d.i++
	}
	return t
}

func (d *dynamicParser) accept(s string) bool {
	if t := d.tok(); t.Kind == token.Punct && t.Text == s {
		d.next()
		return true
	}
	return false
}

func (d *dynamicParser) bad() error {
	return d.p.errorf(d.pos, "the text in dynamic(…) is not valid at %s", d.tok())
}

func quote(b *strings.Builder, s string) {
	var tmp strings.Builder
	enc := json.NewEncoder(&tmp)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic("BUG: a string has no JSON form: " + err.Error())
	}
	b.WriteString(strings.TrimSuffix(tmp.String(), "\n"))
}

func (d *dynamicParser) value(b *strings.Builder) error {
	if err := d.p.enter(); err != nil {
		return err
	}
	defer d.p.leave()
	t := d.next()
	switch t.Kind {
	case token.String:
		if strings.ContainsRune(t.Value, 0) {
			return d.p.errorf(d.pos, "a string literal may not hold the character U+0000")
		}
		quote(b, t.Value)
		return nil
	case token.Number:
		return d.number(b, t.Text)
	case token.Span:
		n, ok := types.ParseTimeSpan(t.Text)
		if !ok {
			return d.bad()
		}
		quote(b, types.FormatTimeSpan(n))
		return nil
	case token.Typed:
		return d.typed(b, t)
	case token.Ident:
		switch {
		case t.Quoted: // ["x"] reads as a quoted name
			b.WriteByte('[')
			quote(b, t.Value)
			b.WriteByte(']')
			return nil
		case t.Text == "true" || t.Text == "false" || t.Text == "null":
			b.WriteString(t.Text)
			return nil
		}
	case token.Punct:
		switch t.Text {
		case "-", "+":
			n := d.next()
			if n.Kind == token.Span && t.Text == "-" {
				ticks, ok := types.ParseTimeSpan(n.Text)
				if !ok {
					return d.bad()
				}
				quote(b, types.FormatTimeSpan(-ticks))
				return nil
			}
			if n.Kind == token.Number {
				return d.number(b, strings.TrimPrefix(t.Text, "+")+n.Text)
			}
		case "[":
			return d.array(b)
		case "{":
			return d.bag(b)
		}
	}
	d.i = max(d.i-1, 0)
	return d.bad()
}

func (d *dynamicParser) array(b *strings.Builder) error {
	b.WriteByte('[')
	for n := 0; !d.accept("]"); n++ {
		if n > 0 {
			if !d.accept(",") {
				return d.bad()
			}
			b.WriteByte(',')
		}
		if err := d.value(b); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	return nil
}

func (d *dynamicParser) bag(b *strings.Builder) error {
	b.WriteByte('{')
	seen := map[string]bool{}
	for n := 0; !d.accept("}"); n++ {
		if n > 0 {
			if !d.accept(",") {
				return d.bad()
			}
			b.WriteByte(',')
		}
		k := d.next()
		if k.Kind != token.String && k.Kind != token.Ident || k.Quoted {
			return d.bad()
		}
		if seen[k.Value] {
			return d.p.errorf(d.pos, "the bag in dynamic(…) has a property twice")
		}
		seen[k.Value] = true
		quote(b, k.Value)
		if !d.accept(":") {
			return d.bad()
		}
		b.WriteByte(':')
		if err := d.value(b); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

func (d *dynamicParser) number(b *strings.Builder, text string) error {
	if n, ok := whole(text); ok {
		b.WriteString(strconv.FormatInt(n, 10))
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return d.bad()
	}
	b.WriteString(types.JSONReal(f))
	return nil
}

func (d *dynamicParser) typed(b *strings.Builder, t token.Token) error {
	ty, _ := types.Parse(t.Text)
	x, err := d.p.typed(ast.At(d.pos), ty, t.Text, strings.TrimSpace(t.Value))
	if err != nil {
		return err
	}
	l, ok := x.(*ast.Literal)
	if !ok {
		return d.bad()
	}
	switch {
	case l.Null:
		b.WriteString("null")
	case ty == types.Bool:
		b.WriteString(l.String())
	case ty.Integer():
		b.WriteString(strconv.FormatInt(l.Int, 10))
	case ty == types.Real:
		b.WriteString(types.JSONReal(l.Real))
	case ty == types.DateTime:
		quote(b, types.FormatDateTime(l.Int))
	case ty == types.TimeSpan:
		quote(b, types.FormatTimeSpan(l.Int))
	case ty == types.Dynamic:
		b.WriteString(l.Text)
	default:
		quote(b, l.Text)
	}
	return nil
}
