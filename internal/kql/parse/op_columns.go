package parse

import (
	"strings"

	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/token"
	"github.com/kustos-io/kustos/internal/kql/types"
)

const stringType = types.String

func (p *parser) where(at ast.At) (ast.Operator, error) {
	if err := p.hints(); err != nil {
		return nil, err
	}
	x, err := p.expr()
	return &ast.Where{At: at, Pred: x}, err
}

func (p *parser) project(at ast.At) (ast.Operator, error) {
	if p.atEnd() {
		return &ast.Project{At: at}, nil
	}
	items, err := p.namedList()
	return &ast.Project{At: at, Items: items}, err
}

func (p *parser) extend(at ast.At) (ast.Operator, error) {
	items, err := p.namedList()
	return &ast.Extend{At: at, Items: items}, err
}

func (p *parser) serialize(at ast.At) (ast.Operator, error) {
	if p.atEnd() {
		return &ast.Serialize{At: at}, nil
	}
	items, err := p.namedList()
	return &ast.Serialize{At: at, Items: items}, err
}

func (p *parser) rename(at ast.At) (ast.Operator, error) {
	items, err := p.namedList()
	return &ast.Rename{At: at, Items: items}, err
}

func (p *parser) distinct(at ast.At) (ast.Operator, error) {
	if err := p.hints(); err != nil {
		return nil, err
	}
	items, err := p.namedList()
	return &ast.Distinct{At: at, Items: items}, err
}

// nameList parses names and patterns with wildcards, optionally each with an order.
func nameList(op string) func(*parser, ast.At) (ast.Operator, error) {
	return func(p *parser, at ast.At) (ast.Operator, error) {
		o := &ast.ProjectNames{At: at, Op: op}
		for {
			n, err := p.namePattern()
			if err != nil {
				return nil, err
			}
			if op == "project-reorder" {
				switch w := p.hyphenated(); w {
				case "asc", "desc", "granny-asc", "granny-desc":
					p.skipHyphenated(w)
					n.Order = w
				}
			}
			o.Items = append(o.Items, n)
			if !p.accept(",") {
				return o, nil
			}
		}
	}
}

// namePattern joins adjacent words and stars, such as a*b.
func (p *parser) namePattern() (ast.NameOrder, error) {
	n := ast.NameOrder{At: p.at()}
	if t := p.tok(); t.Kind == token.Ident && t.Quoted {
		p.advance()
		n.Name = t.Value
		return n, nil
	}
	var b strings.Builder
	end := p.tok().Pos
	for {
		t := p.tok()
		if t.Pos != end || !(t.Kind == token.Ident && !t.Quoted || t.Kind == token.Number || t.Kind == token.Punct && t.Text == "*") {
			break
		}
		n.Pattern = n.Pattern || t.Text == "*"
		b.WriteString(t.Text)
		end = t.End
		p.advance()
	}
	n.Name = b.String()
	if n.Name == "" {
		return n, p.unexpected("a column name")
	}
	return n, nil
}
