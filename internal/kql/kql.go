package kql

import (
	"time"

	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/bind"
	"github.com/kustos-io/kustos/internal/kql/branch"
	"github.com/kustos-io/kustos/internal/kql/funcs"
	"github.com/kustos-io/kustos/internal/kql/ops"
	"github.com/kustos-io/kustos/internal/kql/parse"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/sqlgen"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// Env is what a query can see of the outside.
type Env struct {
	// Database is the database the query runs in.
	Database string
	// Lookup finds a table by its exact name; nil means there are no tables.
	Lookup func(database, table string) (*Table, bool)
	// Tables lists the tables of a database, for union over a pattern; nil means there are none.
	Tables func(database string) []string
	// Now is the fixed time of the query.
	Now time.Time
	// Parameters are the values for declare query_parameters, as plain text or as literals.
	Parameters map[string]string
}

// Table is a stored table. Ref is the caller's own name for it and comes back in Result.Tables.
type Table struct {
	Ref     string
	Columns []Column
}

// Column is a stored column; Physical is its name in what the caller puts in the table's place.
type Column struct {
	Name     string
	Type     types.Type
	Physical string
}

// Program is a compiled request.
type Program struct {
	// Results has one entry per tabular statement, in order.
	Results []Result
	// Options are the set statements of the text; an option without a value is "true".
	Options map[string]string
}

// Result is one tabular statement as SQL. Its output columns are r0, r1, … in storage types; Params are bound to $1,
// $2, …; each placeholder of Tables stands where a FROM item goes and must be replaced by a subquery or table that has
// the physical columns.
type Result struct {
	// Name is the one given by "as", or empty.
	Name          string
	Columns       []ResultColumn
	SQL           string
	Params        []any
	Tables        []TableUse
	Visualization map[string]any
	// Sorted says that the rows come in an order the query asked for.
	Sorted bool
}

// ResultColumn is a column of a result.
type ResultColumn struct {
	Name string
	Type types.Type
}

// TableUse is a stored table a result reads.
type TableUse struct {
	Placeholder string
	Ref         string
	// Branches are pieces of SQL that must be written out by [branch.Expand] over the
	// parts of what takes the table's place.
	Branches []branch.Branch
}

// Prelude lists the SQL statements to run once in an engine before any Result.
func Prelude() []string { return sqlgen.Prelude() }

// Compile turns a query text into SQL. The error, if any, is an *Error.
func Compile(text string, env Env) (*Program, error) {
	p, err := compile(text, env)
	if err != nil {
		return nil, located(text, err)
	}
	return p, nil
}

func compile(text string, env Env) (*Program, error) {
	script, err := parse.Script(text)
	if err != nil {
		return nil, err
	}
	out := &Program{Options: map[string]string{}}
	ctx := funcs.Context{Now: types.Ticks(env.Now), Database: env.Database}
	b := bind.New(outside{env}, ops.Table{}, ctx)
	scope := bind.NewScope(nil)
	for _, st := range script.Statements {
		switch st := st.(type) {
		case *ast.Set:
			if err := option(b, scope, out, st); err != nil {
				return nil, err
			}
		case *ast.Declare:
			if err := parameters(b, scope, st, env.Parameters); err != nil {
				return nil, err
			}
		case *ast.Let:
			if err := scope.Let(st); err != nil {
				return nil, err
			}
		case *ast.Query:
			r, err := result(b, scope, st)
			if err != nil {
				return nil, err
			}
			out.Results = append(out.Results, *r)
		}
	}
	if len(out.Results) == 0 {
		return nil, &parse.Error{Pos: len(text), Message: "the query has no tabular expression statement"}
	}
	return out, nil
}

func result(b *bind.Binder, scope *bind.Scope, st *ast.Query) (*Result, error) {
	rel, err := b.Tabular(st.X, scope)
	if err != nil {
		return nil, err
	}
	if len(rel.Columns) == 0 {
		return nil, bind.Errorf(st, bind.CodeUnsupported, "a result without columns is not supported")
	}
	sql, err := sqlgen.Generate(sqlgen.DuckDB{}, rel)
	if err != nil {
		return nil, err
	}
	r := &Result{Name: name(st.X), SQL: sql.SQL, Params: sql.Params, Visualization: rel.Visualization, Sorted: sorted(rel)}
	for _, c := range rel.Columns {
		r.Columns = append(r.Columns, ResultColumn{Name: c.Name, Type: c.Type})
	}
	for _, u := range sql.Tables {
		r.Tables = append(r.Tables, TableUse{Placeholder: u.Placeholder, Ref: u.Ref, Branches: u.Branches})
	}
	return r, nil
}

func sorted(rel *plan.Rel) bool { return rel.Sorted && len(rel.Order) > 0 }

// name is what the last "as" of a pipeline gives, behind which only render may stand.
func name(x ast.Expr) string {
	p, ok := x.(*ast.Pipeline)
	if !ok {
		return ""
	}
	for i := len(p.Ops) - 1; i >= 0; i-- {
		switch o := p.Ops[i].(type) {
		case *ast.As:
			return o.Name
		case *ast.Render:
		default:
			return ""
		}
	}
	return ""
}

func option(b *bind.Binder, scope *bind.Scope, out *Program, st *ast.Set) error {
	if st.Value == nil {
		out.Options[st.Name] = "true"
		return nil
	}
	v, err := b.Scalar(st.Value, &bind.Row{Scope: scope})
	if err != nil {
		return err
	}
	l, ok := v.(*plan.Lit)
	if !ok {
		return bind.Errorf(st, bind.CodeType, "the value of option '%s' is expected to be a constant", st.Name)
	}
	if st.Name == "query_now" && l.Typ == types.DateTime && !l.Null {
		b.Context.Now = l.Int
	}
	out.Options[st.Name] = l.Text
	if l.Typ != types.String && l.Typ != types.Dynamic {
		lit := ast.Literal{Type: l.Typ, Null: l.Null, Int: l.Int, Real: l.Real, Text: l.Text}
		out.Options[st.Name] = lit.String()
	}
	return nil
}

// outside adapts an Env to what the binder asks for.
type outside struct{ env Env }

func (o outside) Table(database, table string) (bind.Table, bool) {
	if database == "" {
		database = o.env.Database
	}
	if o.env.Lookup == nil {
		return bind.Table{}, false
	}
	t, ok := o.env.Lookup(database, table)
	if !ok {
		return bind.Table{}, false
	}
	out := bind.Table{Name: table, Ref: t.Ref}
	for _, c := range t.Columns {
		out.Columns = append(out.Columns, bind.Column{Name: c.Name, Type: c.Type, Physical: c.Physical})
	}
	return out, true
}

func (o outside) Tables(database string) []string {
	if database == "" {
		database = o.env.Database
	}
	if o.env.Tables == nil {
		return nil
	}
	return o.env.Tables(database)
}
