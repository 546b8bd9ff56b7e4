package parse

import (
	"strings"

	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/token"
)

// expr parses a scalar expression: or, and, equality and string operators, order, sums, products, signs, postfix.
func (p *parser) expr() (ast.Expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	return p.chain([]string{"or"}, func() (ast.Expr, error) {
		return p.chain([]string{"and"}, p.equality)
	})
}

func (p *parser) chain(words []string, operand func() (ast.Expr, error)) (ast.Expr, error) {
	l, err := operand()
	if err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		t, found := p.tok(), ""
		for _, w := range words {
			if t.Text == w && !t.Quoted && (t.Kind == token.Punct || t.Kind == token.Ident) {
				found = w
			}
		}
		if found == "" {
			return l, nil
		}
		if n > maxChain {
			return nil, p.errorf(t.Pos, "the chain of '%s' is too long (limit %d)", found, maxChain)
		}
		p.advance()
		r, err := operand()
		if err != nil {
			return nil, err
		}
		l = &ast.Binary{At: ast.At(t.Pos), Op: found, L: l, R: r}
	}
}

var stringOperators = map[string]bool{
	"has": true, "has_cs": true, "contains": true, "contains_cs": true, "startswith": true, "startswith_cs": true, "endswith": true, "endswith_cs": true,
	"hasprefix": true, "hasprefix_cs": true, "hassuffix": true, "hassuffix_cs": true, "containscs": true, "contains_all": true, "contains_any": true,
	"like": true, "likecs": true, "notlike": true, "notlikecs": true, "notcontains": true, "notcontainscs": true,
}

func (p *parser) equality() (ast.Expr, error) {
	l, err := p.relational()
	if err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		if n > maxChain {
			return nil, p.errorf(p.tok().Pos, "the chain of operators is too long (limit %d)", maxChain)
		}
		t := p.tok()
		if t.Quoted {
			return l, nil
		}
		base := strings.TrimPrefix(t.Text, "!")
		at := ast.At(t.Pos)
		switch {
		case t.Kind == token.Punct && (t.Text == "==" || t.Text == "!=" || t.Text == "=~" || t.Text == "!~" || t.Text == "<>"):
			p.advance()
			op := t.Text
			if op == "<>" {
				op = "!="
			}
			r, err := p.relational()
			if err != nil {
				return nil, err
			}
			l = &ast.Binary{At: at, Op: op, L: l, R: r}
		case t.Kind != token.Ident && t.Kind != token.NegWord:
			return l, nil
		case base == "between":
			p.advance()
			b := &ast.Between{At: at, Not: t.Text != base, X: l}
			if err := p.expect("("); err != nil {
				return nil, err
			}
			if b.Lo, err = p.expr(); err != nil {
				return nil, err
			}
			if err := p.expect(".."); err != nil {
				return nil, err
			}
			if b.Hi, err = p.expr(); err != nil {
				return nil, err
			}
			if err := p.expect(")"); err != nil {
				return nil, err
			}
			l = b
		case base == "in" || base == "in~" || base == "in_cs" || t.Text == "has_any" || t.Text == "has_all":
			op := t.Text
			if base == "in_cs" {
				op = strings.TrimSuffix(op, "_cs")
			}
			p.advance()
			if l, err = p.inList(at, op, l); err != nil {
				return nil, err
			}
		case t.Text == "matches" && p.ahead(1).Text == "regex":
			p.advance()
			p.advance()
			r, err := p.relational()
			if err != nil {
				return nil, err
			}
			l = &ast.Binary{At: at, Op: "matches regex", L: l, R: r}
		case stringOperators[base]:
			p.advance()
			r, err := p.relational()
			if err != nil {
				return nil, err
			}
			l = &ast.Binary{At: at, Op: t.Text, L: l, R: r}
		case t.Kind == token.NegWord:
			return nil, p.errorf(t.Pos, "the operator '%s' is not known", t.Text)
		default:
			return l, nil
		}
	}
}

func (p *parser) inList(at ast.At, op string, x ast.Expr) (ast.Expr, error) {
	n := &ast.In{At: at, Op: op, X: x}
	if !p.isPunct("(") {
		// A list may also be a bare name or literal: x in dynamic([1, 2]).
		v, err := p.relational()
		if err != nil {
			return nil, err
		}
		n.List = []ast.Expr{v}
		return n, nil
	}
	p.advance()
	for !p.accept(")") {
		if len(n.List) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
			if p.accept(")") {
				break
			}
		}
		v, err := p.pipeline()
		if err != nil {
			return nil, err
		}
		n.List = append(n.List, v)
	}
	return n, nil
}

func (p *parser) relational() (ast.Expr, error) {
	return p.chain([]string{"<", "<=", ">", ">="}, func() (ast.Expr, error) {
		return p.chain([]string{"+", "-"}, func() (ast.Expr, error) {
			return p.chain([]string{"*", "/", "%"}, p.unary)
		})
	})
}

func (p *parser) unary() (ast.Expr, error) {
	if p.isPunct("-") || p.isPunct("+") {
		t := p.advance()
		if err := p.enter(); err != nil {
			return nil, err
		}
		defer p.leave()
		x, err := p.unary()
		if err != nil {
			return nil, err
		}
		return &ast.Unary{At: ast.At(t.Pos), Op: t.Text, X: x}, nil
	}
	x, err := p.primary()
	if err != nil {
		return nil, err
	}
	return p.postfix(x)
}

func (p *parser) postfix(x ast.Expr) (ast.Expr, error) {
	for n := 0; ; n++ {
		if n > maxDepth {
			return nil, p.errorf(p.tok().Pos, "the path is too long (limit %d)", maxDepth)
		}
		at := p.at()
		switch {
		case p.isPunct("."):
			p.advance()
			t := p.tok()
			switch {
			case t.Kind == token.Ident:
				p.advance()
				if p.isPunct("(") && !t.Quoted {
					args, err := p.args()
					if err != nil {
						return nil, err
					}
					// database("d").table("T") keeps its second call as the member's name.
					x = &ast.Call{At: at, Name: "." + t.Text, Args: append([]ast.Named{{At: at, X: x}}, args...)}
					continue
				}
				x = &ast.Member{At: at, X: x, Name: t.Value}
			case p.isPunct("["):
				// .['x y'] reads as a quoted name, .[0] as an index.
			default:
				return nil, p.unexpected("a property name")
			}
		case p.isPunct("["):
			p.advance()
			i, err := p.expr()
			if err != nil {
				return nil, err
			}
			if err := p.expect("]"); err != nil {
				return nil, err
			}
			x = &ast.Index{At: at, X: x, I: i}
		default:
			return x, nil
		}
	}
}

func (p *parser) primary() (ast.Expr, error) {
	t := p.tok()
	at := ast.At(t.Pos)
	switch t.Kind {
	case token.String, token.Number, token.Span, token.Typed:
		return p.literal()
	case token.Ident:
		if !t.Quoted {
			switch t.Text {
			case "true", "false":
				p.advance()
				return boolLiteral(at, t.Text == "true"), nil
			}
			if p.ahead(1).Kind == token.Punct && p.ahead(1).Text == "(" {
				if t.Text == "typeof" {
					return p.typeOf()
				}
				p.advance()
				args, err := p.args()
				if err != nil {
					return nil, err
				}
				return &ast.Call{At: at, Name: t.Text, Args: args}, nil
			}
		}
		p.advance()
		return &ast.Name{At: at, Name: t.Value}, nil
	case token.Punct:
		switch t.Text {
		case "(":
			p.advance()
			x, err := p.pipeline()
			if err != nil {
				return nil, err
			}
			if err := p.expect(")"); err != nil {
				return nil, err
			}
			return &ast.Paren{At: at, X: x}, nil
		case "*":
			p.advance()
			return &ast.Star{At: at}, nil
		}
	}
	return nil, p.unexpected("an expression")
}

func (p *parser) typeOf() (ast.Expr, error) {
	at := p.at()
	p.advance()
	p.advance()
	t, err := p.typeName()
	if err != nil {
		return nil, err
	}
	return &ast.TypeOf{At: at, Type: t}, p.expect(")")
}

func (p *parser) args() ([]ast.Named, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	var list []ast.Named
	for !p.accept(")") {
		if len(list) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		n := ast.Named{At: p.at()}
		if p.tok().Kind == token.Ident && p.ahead(1).Kind == token.Punct && p.ahead(1).Text == "=" {
			n.Names = []string{p.advance().Value}
			p.advance()
		}
		x, err := p.pipeline()
		if err != nil {
			return nil, err
		}
		n.X = x
		list = append(list, n)
	}
	return list, nil
}

// named parses [name =] expr or (name, …) = expr.
func (p *parser) named() (ast.Named, error) {
	n := ast.Named{At: p.at()}
	switch {
	case p.tok().Kind == token.Ident && p.ahead(1).Kind == token.Punct && p.ahead(1).Text == "=":
		n.Names = []string{p.advance().Value}
		p.advance()
	case p.isPunct("("):
		i, names := 1, []string{}
		for p.ahead(i).Kind == token.Ident {
			names = append(names, p.ahead(i).Value)
			i++
			if p.ahead(i).Text != "," {
				break
			}
			i++
		}
		if len(names) > 0 && p.ahead(i).Text == ")" && p.ahead(i+1).Kind == token.Punct && p.ahead(i+1).Text == "=" {
			for range i + 2 {
				p.advance()
			}
			n.Names = names
		}
	}
	var err error
	n.X, err = p.expr()
	return n, err
}

func (p *parser) namedList() ([]ast.Named, error) {
	var list []ast.Named
	for {
		n, err := p.named()
		if err != nil {
			return nil, err
		}
		list = append(list, n)
		if !p.accept(",") {
			return list, nil
		}
	}
}

// atEnd reports whether the operator ends here.
func (p *parser) atEnd() bool {
	t := p.tok()
	return t.Kind == token.EOF || t.Kind == token.Punct && (t.Text == "|" || t.Text == ")" || t.Text == ";" || t.Text == "}")
}
