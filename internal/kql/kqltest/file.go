package kqltest

import (
	"fmt"
	"strings"

	"github.com/kustos-io/kustos/internal/kql"
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/parse"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// Table is a data set of a file. Rows hold literals.
type Table struct {
	Name    string
	Columns []kql.Column
	Rows    [][]*ast.Literal
}

// Case is one query with what is expected of it.
type Case struct {
	Name    string
	Line    int
	Query   string
	Columns []kql.ResultColumn
	Rows    [][]*ast.Literal
	// AnyOrder compares rows as a multiset.
	AnyOrder bool
	// Code and Words are set for an expected refusal: its code and text its message must contain.
	Code, Words string
}

// File is a parsed case file.
type File struct {
	Tables []Table
	Cases  []Case
}

type section struct {
	head string
	line int
	body []string
}

// Parse reads a case file.
func Parse(text string) (*File, error) {
	f := &File{}
	for _, s := range sections(text) {
		word, rest, _ := strings.Cut(s.head, " ")
		rest = strings.TrimSpace(rest)
		var last *Case
		if n := len(f.Cases); n > 0 {
			last = &f.Cases[n-1]
		}
		var err error
		switch {
		case word == "table":
			err = f.table(rest, s.body)
		case word == "query":
			f.Cases = append(f.Cases, Case{Name: rest, Line: s.line, Query: strings.Join(s.body, "\n")})
		case last == nil:
			err = fmt.Errorf("a query must come first")
		case word == "columns":
			var cols []ast.ColumnDef
			cols, err = schema(strings.Join(s.body, " "))
			for _, c := range cols {
				last.Columns = append(last.Columns, kql.ResultColumn{Name: c.Name, Type: c.Type})
			}
		case word == "rows":
			last.AnyOrder = rest == "in any order"
			var cols []ast.ColumnDef
			for _, c := range last.Columns {
				cols = append(cols, ast.ColumnDef{Name: c.Name, Type: c.Type})
			}
			last.Rows, err = rows(cols, s.body)
		case word == "refused":
			last.Code, last.Words, _ = strings.Cut(rest, " ")
		default:
			err = fmt.Errorf("the section %q is not known", word)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", s.line, err)
		}
	}
	return f, nil
}

func sections(text string) []section {
	var out []section
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
		case line[0] != ' ' && line[0] != '\t':
			out = append(out, section{head: strings.TrimRight(line, " "), line: i + 1})
		case len(out) > 0:
			s := &out[len(out)-1]
			s.body = append(s.body, strings.TrimSpace(line))
		}
	}
	return out
}

func (f *File) table(head string, body []string) error {
	name, cols, ok := strings.Cut(head, " ")
	if !ok {
		return fmt.Errorf("a table needs columns")
	}
	defs, err := schema(strings.Trim(strings.TrimSpace(cols), "()"))
	if err != nil {
		return err
	}
	t := Table{Name: name}
	for i, c := range defs {
		t.Columns = append(t.Columns, kql.Column{Name: c.Name, Type: c.Type, Physical: fmt.Sprintf("c%d", i+1)})
	}
	t.Rows, err = rows(defs, body)
	f.Tables = append(f.Tables, t)
	return err
}

func schema(text string) ([]ast.ColumnDef, error) {
	x, err := parse.Expr("datatable(" + text + ")[]")
	if err != nil {
		return nil, err
	}
	return x.(*ast.DataTable).Columns, nil
}

func rows(cols []ast.ColumnDef, body []string) ([][]*ast.Literal, error) {
	var out [][]*ast.Literal
	for _, line := range body {
		x, err := parse.Expr("datatable(a:long)[" + line + "]")
		if err != nil {
			return nil, fmt.Errorf("%w in %s", err, line)
		}
		values := x.(*ast.DataTable).Values
		if len(values) != len(cols) {
			return nil, fmt.Errorf("%d values for %d columns in %s", len(values), len(cols), line)
		}
		row := make([]*ast.Literal, len(values))
		for i, v := range values {
			l, err := constant(v, cols[i].Type)
			if err != nil {
				return nil, fmt.Errorf("%w in %s", err, line)
			}
			row[i] = l
		}
		out = append(out, row)
	}
	return out, nil
}

// constant turns a literal, signed or not, into one of the column's type; null is written as the word null.
func constant(x ast.Expr, t types.Type) (*ast.Literal, error) {
	switch x := x.(type) {
	case *ast.Name:
		if x.Name == "null" {
			return &ast.Literal{Type: t, Null: true}, nil
		}
	case *ast.Unary:
		l, err := constant(x.X, t)
		if err == nil && x.Op == "-" {
			l.Int, l.Real = -l.Int, -l.Real
		}
		return l, err
	case *ast.Literal:
		switch {
		case x.Type == t:
			return x, nil
		case x.Type == types.Long && t == types.Int:
			return &ast.Literal{Type: t, Int: x.Int}, nil
		case x.Type == types.Long && t == types.Real:
			return &ast.Literal{Type: t, Real: float64(x.Int)}, nil
		case x.Null:
			return &ast.Literal{Type: t, Null: true}, nil
		}
	}
	return nil, fmt.Errorf("%s is no %s", x, t)
}
