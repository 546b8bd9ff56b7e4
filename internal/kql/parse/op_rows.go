package parse

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/token"
)

func (p *parser) take(at ast.At) (ast.Operator, error) {
	n, err := p.expr()
	return &ast.Take{At: at, N: n}, err
}

func (p *parser) sample(at ast.At) (ast.Operator, error) {
	n, err := p.expr()
	return &ast.Sample{At: at, N: n}, err
}

func (p *parser) sampleDistinct(at ast.At) (ast.Operator, error) {
	n, of, err := p.countOf()
	return &ast.SampleDistinct{At: at, N: n, Of: of}, err
}

func (p *parser) topHitters(at ast.At) (ast.Operator, error) {
	n, of, err := p.countOf()
	if err != nil {
		return nil, err
	}
	o := &ast.TopHitters{At: at, N: n, Of: of}
	if p.acceptWord("by") {
		o.By, err = p.expr()
	}
	return o, err
}

// countOf reads "N of column".
func (p *parser) countOf() (n ast.Expr, of ast.Named, err error) {
	if n, err = p.expr(); err != nil {
		return nil, of, err
	}
	if err = p.expectWord("of"); err != nil {
		return nil, of, err
	}
	of, err = p.named()
	return n, of, err
}

func (p *parser) count(at ast.At) (ast.Operator, error) { return &ast.Count{At: at}, nil }

func (p *parser) getSchema(at ast.At) (ast.Operator, error) { return &ast.GetSchema{At: at}, nil }

func (p *parser) consume(at ast.At) (ast.Operator, error) { return &ast.Consume{At: at}, nil }

func (p *parser) as(at ast.At) (ast.Operator, error) {
	if err := p.hints(); err != nil {
		return nil, err
	}
	name, err := p.name("a name")
	return &ast.As{At: at, Name: name}, err
}

func (p *parser) sort(at ast.At) (ast.Operator, error) {
	if err := p.hints(); err != nil {
		return nil, err
	}
	if err := p.expectWord("by"); err != nil {
		return nil, err
	}
	keys, err := p.sortKeys()
	return &ast.Sort{At: at, Keys: keys}, err
}

func (p *parser) top(at ast.At) (ast.Operator, error) {
	n, err := p.expr()
	if err != nil {
		return nil, err
	}
	if err := p.hints(); err != nil {
		return nil, err
	}
	if err := p.expectWord("by"); err != nil {
		return nil, err
	}
	keys, err := p.sortKeys()
	return &ast.Top{At: at, N: n, Keys: keys}, err
}

func (p *parser) sortKeys() ([]ast.SortKey, error) {
	var keys []ast.SortKey
	for {
		k := ast.SortKey{At: p.at(), Desc: true}
		var err error
		if k.X, err = p.named(); err != nil {
			return nil, err
		}
		switch {
		case p.acceptWord("asc"):
			k.Desc = false
		case p.acceptWord("desc"):
		}
		k.NullsFirst = !k.Desc
		if p.acceptWord("nulls") {
			switch {
			case p.acceptWord("first"):
				k.NullsFirst = true
			case p.acceptWord("last"):
				k.NullsFirst = false
			default:
				return nil, p.unexpected("'first' or 'last'")
			}
		}
		keys = append(keys, k)
		if !p.accept(",") {
			return keys, nil
		}
	}
}

func (p *parser) render(at ast.At) (ast.Operator, error) {
	kind, err := p.name("a visualisation")
	if err != nil {
		return nil, err
	}
	o := &ast.Render{At: at, Kind: kind}
	paren := false
	if p.acceptWord("with") {
		if err := p.expect("("); err != nil {
			return nil, err
		}
		paren = true
	}
	for !p.atEnd() {
		if len(o.Props) > 0 {
			p.accept(",")
		}
		prop, err := p.renderProperty()
		if err != nil {
			return nil, err
		}
		o.Props = append(o.Props, prop)
	}
	if paren {
		return o, p.expect(")")
	}
	return o, nil
}

// renderProperty keeps the value as the text that stands there, because its form depends on the property.
func (p *parser) renderProperty() (ast.Property, error) {
	var pr ast.Property
	var err error
	if pr.Name, err = p.name("a property"); err != nil {
		return pr, err
	}
	if err := p.expect("="); err != nil {
		return pr, err
	}
	start, end := p.tok().Pos, 0
	for {
		t := p.tok()
		if t.Kind == token.Punct && (t.Text == "-" || t.Text == "+") {
			p.advance()
			t = p.tok()
		}
		switch t.Kind {
		case token.Ident, token.String, token.Number, token.Typed, token.Span:
			end = p.advance().End
		default:
			return pr, p.unexpected("a property value")
		}
		// A comma starts another property unless no '=' follows it.
		if p.isPunct(",") && p.ahead(1).Kind == token.Ident && p.ahead(2).Text != "=" {
			p.advance()
			continue
		}
		pr.Value = p.text[start:end]
		return pr, nil
	}
}

func (p *parser) invoke(at ast.At) (ast.Operator, error) {
	x, err := p.expr()
	if err != nil {
		return nil, err
	}
	c, ok := x.(*ast.Call)
	if !ok {
		return nil, p.errorf(x.Pos(), "invoke needs a function call")
	}
	return &ast.Invoke{At: at, Call: c}, nil
}
