package parse

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/token"
)

func (p *parser) joinParts(what string) (kind string, right ast.Expr, on []ast.Expr, err error) {
	for {
		i := p.i
		if err := p.hints(); err != nil {
			return "", nil, nil, err
		}
		k, ok, err := p.option("kind")
		if err != nil {
			return "", nil, nil, err
		}
		if ok {
			kind = k
		}
		if i == p.i {
			break
		}
	}
	if right, err = p.tableOperand(); err != nil {
		return "", nil, nil, err
	}
	if !p.acceptWord("on") {
		if p.isWord("where") {
			return "", nil, nil, p.unsupported(p.tok().Pos, "the form '%s … where' is not supported", what)
		}
		return "", nil, nil, p.unexpected("'on'")
	}
	for {
		x, err := p.expr()
		if err != nil {
			return "", nil, nil, err
		}
		on = append(on, x)
		if !p.accept(",") {
			return kind, right, on, nil
		}
	}
}

// tableOperand parses the other table of a join or union: a name, a call, or a parenthesised pipeline (returned bare).
func (p *parser) tableOperand() (ast.Expr, error) {
	if p.isPunct("(") {
		p.advance()
		x, err := p.pipeline()
		if err != nil {
			return nil, err
		}
		return x, p.expect(")")
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	x, err := p.primary()
	if err != nil {
		return nil, err
	}
	return p.postfix(x)
}

func (p *parser) join(at ast.At) (ast.Operator, error) {
	kind, right, on, err := p.joinParts("join")
	return &ast.Join{At: at, Kind: kind, Right: right, On: on}, err
}

func (p *parser) lookup(at ast.At) (ast.Operator, error) {
	kind, right, on, err := p.joinParts("lookup")
	return &ast.Lookup{At: at, Kind: kind, Right: right, On: on}, err
}

func (p *parser) union(at ast.At) (ast.Operator, error) {
	u := &ast.Union{At: at}
	for {
		if err := p.hints(); err != nil {
			return nil, err
		}
		if v, ok, err := p.option("kind"); err != nil {
			return nil, err
		} else if ok {
			u.Kind = v
			continue
		}
		ws, ok, err := p.option("withsource")
		if !ok && err == nil {
			ws, ok, err = p.option("with_source")
		}
		if err != nil {
			return nil, err
		}
		if ok {
			u.WithSource = ws
			continue
		}
		if v, ok, err := p.option("isfuzzy"); err != nil {
			return nil, err
		} else if ok {
			if v != "true" && v != "false" {
				return nil, p.errorf(int(at), "isfuzzy is true or false")
			}
			u.Fuzzy = v == "true"
			continue
		}
		break
	}
	for {
		x, err := p.unionOperand()
		if err != nil {
			return nil, err
		}
		u.Tables = append(u.Tables, x)
		if !p.accept(",") {
			return u, nil
		}
	}
}

func (p *parser) unionOperand() (ast.Expr, error) {
	t := p.tok()
	star := t.Kind == token.Punct && t.Text == "*"
	if n := p.ahead(1); star || t.Kind == token.Ident && !t.Quoted && n.Text == "*" && n.Pos == t.End {
		n, err := p.namePattern()
		if err != nil {
			return nil, err
		}
		return &ast.Star{At: n.At, Pattern: n.Name}, nil
	}
	if p.isPunct("(") {
		at := p.at()
		x, err := p.tableOperand()
		if err != nil {
			return nil, err
		}
		return &ast.Paren{At: at, X: x}, nil
	}
	return p.tableOperand()
}
