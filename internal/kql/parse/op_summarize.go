package parse

import "github.com/kustos-io/kustos/internal/kql/ast"

func (p *parser) summarize(at ast.At) (ast.Operator, error) {
	o := &ast.Summarize{At: at}
	if err := p.hints(); err != nil {
		return nil, err
	}
	var err error
	if !p.isWord("by") && !p.atEnd() {
		if o.Aggregates, err = p.namedList(); err != nil {
			return nil, err
		}
	}
	if p.acceptWord("by") {
		if o.By, err = p.namedList(); err != nil {
			return nil, err
		}
	}
	if len(o.Aggregates)+len(o.By) == 0 {
		return nil, p.unexpected("an aggregate or 'by'")
	}
	return o, nil
}
