package parse

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/token"
	"github.com/kustos-io/kustos/internal/kql/types"
)

func (p *parser) mvExpandOld(at ast.At) (ast.Operator, error) {
	o, err := p.mvExpand(at)
	if err != nil {
		return nil, err
	}
	o.(*ast.MvExpand).Old = true
	return o, nil
}

func (p *parser) mvExpand(at ast.At) (ast.Operator, error) {
	o := &ast.MvExpand{At: at}
	for {
		if v, ok, err := p.option("bagexpansion"); err != nil {
			return nil, err
		} else if ok {
			if v != "bag" && v != "array" {
				return nil, p.errorf(int(at), "bagexpansion is bag or array")
			}
			o.BagArray = v == "array"
			continue
		}
		if v, ok, err := p.option("kind"); err != nil {
			return nil, err
		} else if ok {
			if v != "bag" && v != "array" {
				return nil, p.errorf(int(at), "kind of mv-expand is bag or array")
			}
			o.BagArray = v == "array"
			continue
		}
		v, ok, err := p.option("with_itemindex")
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		o.ItemIndex = v
	}
	for {
		item := ast.ExpandItem{At: p.at()}
		var err error
		if item.X, err = p.named(); err != nil {
			return nil, err
		}
		if p.acceptWord("to") {
			if !p.isWord("typeof") {
				return nil, p.unexpected("'typeof'")
			}
			x, err := p.typeOf()
			if err != nil {
				return nil, err
			}
			item.To = x.(*ast.TypeOf).Type
		}
		o.Items = append(o.Items, item)
		if !p.accept(",") {
			break
		}
	}
	if p.acceptWord("limit") {
		n, err := p.expr()
		if err != nil {
			return nil, err
		}
		o.Limit = n
	}
	return o, nil
}

func (p *parser) parseWhere(at ast.At) (ast.Operator, error) {
	o, err := p.parse(at)
	if err != nil {
		return nil, err
	}
	o.(*ast.Parse).Filter = true
	return o, nil
}

func (p *parser) parse(at ast.At) (ast.Operator, error) {
	o := &ast.Parse{At: at}
	var ok bool
	var err error
	if o.Kind, ok, err = p.option("kind"); err != nil {
		return nil, err
	}
	if ok && o.Kind != "simple" && o.Kind != "regex" && o.Kind != "relaxed" {
		return nil, p.errorf(int(at), "kind of parse is simple, regex or relaxed")
	}
	if o.Flags, _, err = p.option("flags"); err != nil {
		return nil, err
	}
	if o.X, err = p.expr(); err != nil {
		return nil, err
	}
	if err := p.expectWord("with"); err != nil {
		return nil, err
	}
	for !p.atEnd() {
		t := p.tok()
		switch {
		case t.Kind == token.String:
			x, err := p.literal()
			if err != nil {
				return nil, err
			}
			o.Parts = append(o.Parts, ast.ParsePart{Text: x.(*ast.Literal)})
		case t.Kind == token.Punct && t.Text == "*":
			p.advance()
			o.Parts = append(o.Parts, ast.ParsePart{Star: true})
		case t.Kind == token.Ident, t.Kind == token.Punct && t.Text == "[" && p.ahead(1).Kind == token.String && p.ahead(2).Text == "]":
			part := ast.ParsePart{Name: t.Value, Type: types.String}
			if p.advance(); t.Kind == token.Punct { // behind a string a quoted name reads as an index
				part.Name = p.advance().Value
				p.advance()
			}
			if p.accept(":") {
				if part.Type, err = p.typeName(); err != nil {
					return nil, err
				}
			}
			o.Parts = append(o.Parts, part)
		default:
			return nil, p.unexpected("a part of the pattern")
		}
	}
	if len(o.Parts) == 0 {
		return nil, p.unexpected("a pattern")
	}
	return o, nil
}
