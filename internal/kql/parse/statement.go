package parse

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/token"
	"github.com/kustos-io/kustos/internal/kql/types"
)

func (p *parser) script() (*ast.Script, error) {
	s := &ast.Script{}
	for {
		for p.accept(";") {
		}
		if p.tok().Kind == token.EOF {
			break
		}
		st, err := p.statement()
		if err != nil {
			return nil, err
		}
		s.Statements = append(s.Statements, st)
		if p.tok().Kind != token.EOF && !p.isPunct(";") {
			return nil, p.unexpected("';', '|' or the end of the query")
		}
	}
	return s, nil
}

func (p *parser) statement() (ast.Statement, error) {
	at := p.at()
	next := p.ahead(1)
	switch {
	case p.isWord("let") && next.Kind == token.Ident:
		return p.let()
	case p.isWord("set") && next.Kind == token.Ident:
		p.advance()
		return p.set(at)
	case p.isWord("declare") && next.Text == "query_parameters":
		p.advance()
		p.advance()
		params, err := p.params()
		if err != nil {
			return nil, err
		}
		return &ast.Declare{At: at, Params: params}, nil
	case p.isWord("declare") && next.Kind == token.Ident:
		return nil, p.unsupported(p.tok().Pos, "the statement 'declare %s' is not supported", next.Text)
	case (p.isWord("alias") || p.isWord("restrict")) && next.Kind == token.Ident:
		return nil, p.unsupported(p.tok().Pos, "the statement '%s' is not supported", p.tok().Text)
	}
	x, err := p.pipeline()
	if err != nil {
		return nil, err
	}
	return &ast.Query{At: at, X: x}, nil
}

func (p *parser) set(at ast.At) (ast.Statement, error) {
	name, err := p.name("an option name")
	if err != nil {
		return nil, err
	}
	s := &ast.Set{At: at, Name: name}
	if p.accept("=") {
		if s.Value, err = p.expr(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (p *parser) let() (ast.Statement, error) {
	at := p.at()
	p.advance()
	name, err := p.name("a name")
	if err != nil {
		return nil, err
	}
	if err := p.expect("="); err != nil {
		return nil, err
	}
	l := &ast.Let{At: at, Name: name}
	if p.functionAhead() {
		l.Value, err = p.function()
	} else {
		l.Value, err = p.pipeline()
	}
	return l, err
}

// functionAhead looks for "view (", or for a parenthesised list followed by a brace.
func (p *parser) functionAhead() bool {
	if p.isWord("view") && p.ahead(1).Text == "(" {
		return true
	}
	if !p.isPunct("(") {
		return false
	}
	depth := 0
	for n := 0; ; n++ {
		t := p.ahead(n)
		if t.Kind == token.EOF {
			return false
		}
		if t.Kind == token.Punct {
			switch t.Text {
			case "(":
				depth++
			case ")":
				if depth--; depth == 0 {
					return p.ahead(n+1).Kind == token.Punct && p.ahead(n+1).Text == "{"
				}
			}
		}
	}
}

func (p *parser) function() (ast.Expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	f := &ast.Function{At: p.at(), View: p.acceptWord("view")}
	var err error
	if f.Params, err = p.params(); err != nil {
		return nil, err
	}
	if err := p.expect("{"); err != nil {
		return nil, err
	}
	for p.isWord("let") && p.ahead(1).Kind == token.Ident {
		l, err := p.let()
		if err != nil {
			return nil, err
		}
		f.Lets = append(f.Lets, l)
		if err := p.expect(";"); err != nil {
			return nil, err
		}
	}
	if f.Body, err = p.pipeline(); err != nil {
		return nil, err
	}
	for p.accept(";") {
	}
	return f, p.expect("}")
}

func (p *parser) params() ([]ast.Param, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	var list []ast.Param
	for !p.accept(")") {
		if len(list) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		at := p.at()
		name, err := p.name("a parameter name")
		if err != nil {
			return nil, err
		}
		if err := p.expect(":"); err != nil {
			return nil, err
		}
		prm := ast.Param{At: at, Name: name}
		if p.isPunct("(") {
			prm.Tabular = true
			if prm.Columns, prm.Any, err = p.schema(true); err != nil {
				return nil, err
			}
		} else if prm.Type, err = p.typeName(); err != nil {
			return nil, err
		}
		if p.accept("=") {
			if prm.Default, err = p.expr(); err != nil {
				return nil, err
			}
		}
		list = append(list, prm)
	}
	return list, nil
}

func (p *parser) typeName() (types.Type, error) {
	t := p.tok()
	if t.Kind == token.Ident {
		if ty, ok := types.Parse(t.Text); ok {
			p.advance()
			return ty, nil
		}
	}
	return types.Invalid, p.unexpected("a type name")
}

// schema reads (name:type, …); with star, also (*) and a trailing *.
func (p *parser) schema(star bool) (cols []ast.ColumnDef, any bool, err error) {
	if err := p.expect("("); err != nil {
		return nil, false, err
	}
	for !p.accept(")") {
		if len(cols) > 0 || any {
			if err := p.expect(","); err != nil {
				return nil, false, err
			}
			if p.accept(")") {
				break
			}
		}
		if star && p.accept("*") {
			any = true
			continue
		}
		var name string
		if p.tok().Kind == token.String {
			name = p.advance().Value
		} else if name, err = p.name("a column name"); err != nil {
			return nil, false, err
		}
		if err := p.expect(":"); err != nil {
			return nil, false, err
		}
		t, err := p.typeName()
		if err != nil {
			return nil, false, err
		}
		cols = append(cols, ast.ColumnDef{Name: name, Type: t})
	}
	return cols, any, nil
}
