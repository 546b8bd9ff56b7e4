package parse

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/token"
)

type operatorFunc = func(*parser, ast.At) (ast.Operator, error)

// operatorTable maps the word behind a pipe to its parsing function; the word has been consumed when it is called.
func operatorTable() map[string]operatorFunc {
	return map[string]operatorFunc{
		"where":           (*parser).where,
		"filter":          (*parser).where,
		"project":         (*parser).project,
		"project-away":    nameList("project-away"),
		"project-keep":    nameList("project-keep"),
		"project-reorder": nameList("project-reorder"),
		"project-rename":  (*parser).rename,
		"extend":          (*parser).extend,
		"summarize":       (*parser).summarize,
		"take":            (*parser).take,
		"limit":           (*parser).take,
		"sort":            (*parser).sort,
		"order":           (*parser).sort,
		"top":             (*parser).top,
		"distinct":        (*parser).distinct,
		"count":           (*parser).count,
		"join":            (*parser).join,
		"lookup":          (*parser).lookup,
		"union":           (*parser).union,
		"as":              (*parser).as,
		"render":          (*parser).render,
		"getschema":       (*parser).getSchema,
		"serialize":       (*parser).serialize,
		"mv-expand":       (*parser).mvExpand,
		"mvexpand":        (*parser).mvExpandOld,
		"parse":           (*parser).parse,
		"parse-where":     (*parser).parseWhere,
		"sample":          (*parser).sample,
		"sample-distinct": (*parser).sampleDistinct,
		"top-hitters":     (*parser).topHitters,
		"consume":         (*parser).consume,
		"invoke":          (*parser).invoke,
	}
}

// unbuilt are operators of the language that this compiler refuses by name.
var unbuilt = map[string]bool{
	"mv-apply": true, "make-series": true, "top-nested": true, "evaluate": true, "scan": true, "partition": true,
	"fork": true, "facet": true, "find": true, "search": true, "reduce": true, "parse-kv": true, "externaldata": true,
	"make-graph": true, "graph-match": true, "graph-to-table": true, "graph-shortest-paths": true, "graph-mark-components": true,
	"graph-merge": true, "project-by-names": true, "macro-expand": true, "execute_and_cache": true, "assert-schema": true, "graph": true,
	"partition-by": true, "__partitionby": true, "graph-where-nodes": true, "graph-where-edges": true,
}

// pipeline parses an expression and the operators behind it; without operators it is the expression itself.
func (p *parser) pipeline() (ast.Expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	at := p.at()
	src, err := p.source()
	if err != nil {
		return nil, err
	}
	var ops []ast.Operator
	for p.accept("|") {
		if len(ops) > maxChain {
			return nil, p.errorf(p.tok().Pos, "the query has too many operators (limit %d)", maxChain)
		}
		o, err := p.operator()
		if err != nil {
			return nil, err
		}
		ops = append(ops, o)
	}
	if len(ops) == 0 {
		return src, nil
	}
	return &ast.Pipeline{At: at, Source: src, Ops: ops}, nil
}

func (p *parser) operator() (ast.Operator, error) {
	at := p.at()
	word := p.hyphenated()
	if word == "" {
		return nil, p.unexpected("a tabular operator")
	}
	f, ok := p.operators[word]
	if !ok {
		if unbuilt[word] {
			return nil, p.unsupported(int(at), "the operator '%s' is not supported", word)
		}
		return nil, p.errorf(int(at), "the operator '%s' is not known", word)
	}
	p.skipHyphenated(word)
	o, err := f(p, at)
	if err != nil {
		return nil, err
	}
	if !p.atEnd() && !p.isPunct(",") {
		return nil, p.unexpected("'|' or the end of operator '" + word + "'")
	}
	return o, nil
}

// source parses what may stand first in a pipeline.
func (p *parser) source() (ast.Expr, error) {
	at, next := p.at(), p.ahead(1)
	switch {
	case p.isWord("print") && !(next.Kind == token.Punct && (next.Text == "|" || next.Text == ";" || next.Text == "==" || next.Text == "=")) && next.Kind != token.EOF:
		p.advance()
		items, err := p.namedList()
		return &ast.Print{At: at, Items: items}, err
	case p.isWord("range") && next.Kind == token.Ident && p.ahead(2).Text == "from":
		return p.rangeSource()
	case p.isWord("datatable") && next.Text == "(":
		return p.dataTable()
	case p.isWord("union") && next.Kind != token.EOF && next.Text != "|":
		p.advance()
		o, err := p.union(at)
		if err != nil {
			return nil, err
		}
		return o.(*ast.Union), nil
	case p.tok().Kind == token.Ident && !p.tok().Quoted && p.ahead(1).Kind != token.EOF:
		if word := p.hyphenated(); unbuilt[word] && (p.ahead(1).Kind == token.Ident || word == "externaldata" || word == "search" || word == "find") && p.ahead(1).Text != "|" {
			return nil, p.unsupported(int(at), "the operator '%s' is not supported", word)
		}
	}
	return p.expr()
}

func (p *parser) rangeSource() (ast.Expr, error) {
	r := &ast.Range{At: p.at()}
	p.advance()
	var err error
	if r.Column, err = p.name("a column name"); err != nil {
		return nil, err
	}
	for _, part := range []struct {
		word string
		x    *ast.Expr
	}{{"from", &r.From}, {"to", &r.To}, {"step", &r.Step}} {
		if err := p.expectWord(part.word); err != nil {
			return nil, err
		}
		if *part.x, err = p.expr(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (p *parser) dataTable() (ast.Expr, error) {
	d := &ast.DataTable{At: p.at()}
	p.advance()
	var err error
	if d.Columns, _, err = p.schema(false); err != nil {
		return nil, err
	}
	if len(d.Columns) == 0 {
		return nil, p.errorf(int(d.At), "a datatable needs at least one column")
	}
	// A single ["text"] reads as a quoted name.
	if t := p.tok(); t.Kind == token.Ident && t.Quoted {
		p.advance()
		d.Values = []ast.Expr{&ast.Literal{At: ast.At(t.Pos), Type: stringType, Text: t.Value}}
	} else {
		if err := p.expect("["); err != nil {
			return nil, err
		}
		for !p.accept("]") {
			if len(d.Values) > 0 {
				if err := p.expect(","); err != nil {
					return nil, err
				}
				if p.accept("]") {
					break
				}
			}
			v, err := p.expr()
			if err != nil {
				return nil, err
			}
			d.Values = append(d.Values, v)
		}
	}
	if len(d.Values)%len(d.Columns) != 0 {
		return nil, p.errorf(int(d.At), "the datatable has %d values, which is no multiple of its %d columns", len(d.Values), len(d.Columns))
	}
	return d, nil
}

// hints consumes hint.name=value pairs, which never change an answer.
func (p *parser) hints() error {
	for p.isWord("hint") && p.ahead(1).Text == "." {
		p.advance()
		p.advance()
		if _, err := p.name("a hint name"); err != nil {
			return err
		}
		if err := p.expect("="); err != nil {
			return err
		}
		if err := p.hintValue(); err != nil {
			return err
		}
	}
	return nil
}

// hintValue skips one word, literal or parenthesised list of them.
func (p *parser) hintValue() error {
	if p.accept("(") {
		for !p.accept(")") {
			if p.tok().Kind == token.EOF {
				return p.unexpected("')'")
			}
			p.advance()
		}
		return nil
	}
	switch p.tok().Kind {
	case token.Ident, token.String, token.Number, token.Span, token.Typed:
		p.advance()
		return nil
	}
	return p.unexpected("a hint value")
}

// option reads word=value when the current word is the given one; the value is returned as text.
func (p *parser) option(word string) (string, bool, error) {
	if !p.isWord(word) || p.ahead(1).Text != "=" {
		return "", false, nil
	}
	p.advance()
	p.advance()
	t := p.tok()
	switch t.Kind {
	case token.Ident, token.String:
		p.advance()
		return t.Value, true, nil
	case token.Number:
		p.advance()
		return t.Text, true, nil
	}
	return "", false, p.unexpected("a value for '" + word + "'")
}
