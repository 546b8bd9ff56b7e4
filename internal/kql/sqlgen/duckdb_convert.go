package sqlgen

import (
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// toText writes tostring(x); the result is never NULL.
func (d DuckDB) toText(g *Generator, x plan.Expr) (string, error) {
	s, err := g.Expr(x)
	if err != nil {
		return "", err
	}
	switch x.Type() {
	case types.String:
		return s, nil
	case types.Real:
		return "kq_real_text(" + s + ")", nil
	case types.Decimal:
		return "kq_decimal_text(" + s + ")", nil
	case types.DateTime:
		return "kq_datetime_text(" + s + ")", nil
	case types.TimeSpan:
		return "kq_timespan_text(" + s + ")", nil
	case types.Dynamic:
		return "kq_dynamic_text(" + s + ")", nil
	}
	return "coalesce(CAST(" + s + " AS VARCHAR), '')", nil
}

// json writes the JSON text of x, NULL for null.
func (d DuckDB) json(g *Generator, x plan.Expr) (string, error) {
	s, err := g.Expr(x)
	if err != nil {
		return "", err
	}
	switch x.Type() {
	case types.Dynamic:
		return s, nil
	case types.String:
		return "CAST(to_json(" + s + ") AS VARCHAR)", nil
	case types.Real:
		return "kq_real_json(" + s + ")", nil
	case types.DateTime:
		return "('\"' || nullif(kq_datetime_text(" + s + "), '') || '\"')", nil
	case types.TimeSpan:
		return "('\"' || nullif(kq_timespan_text(" + s + "), '') || '\"')", nil
	case types.Decimal:
		return "('\"' || nullif(kq_decimal_text(" + s + "), '') || '\"')", nil
	case types.GUID:
		return "('\"' || CAST(" + s + " AS VARCHAR) || '\"')", nil
	}
	return "CAST(" + s + " AS VARCHAR)", nil
}

// convert writes the to…() conversions; what does not convert becomes NULL.
func (d DuckDB) convert(g *Generator, c *plan.Call) (string, error) {
	x, from := c.Args[0], c.Args[0].Type()
	s, err := g.Expr(x)
	if err != nil {
		return "", err
	}
	switch {
	case from == types.String:
		return fromText(s, c.Typ), nil
	case from == types.Dynamic:
		switch c.Typ {
		case types.Bool:
			return "kq_dynamic_bool(" + s + ")", nil
		case types.Int:
			return "TRY_CAST(kq_dynamic_long(" + s + ") AS INTEGER)", nil
		case types.Long:
			return "kq_dynamic_long(" + s + ")", nil
		case types.Real:
			return "kq_dynamic_real(" + s + ")", nil
		}
		return fromText("kq_dynamic_text("+s+")", c.Typ), nil
	case c.Typ == types.Bool:
		return "(" + s + " <> 0)", nil
	case c.Typ == types.Decimal && from == types.Real:
		return "TRY_CAST(CAST(" + s + " AS VARCHAR) AS DECIMAL(38,18))", nil
	case (c.Typ == types.Int || c.Typ == types.Long) && (from == types.Real || from == types.Decimal):
		return "TRY_CAST(trunc(" + s + ") AS " + d.Type(c.Typ) + ")", nil
	}
	return "TRY_CAST(" + s + " AS " + d.Type(c.Typ) + ")", nil
}

func fromText(s string, to types.Type) string {
	switch to {
	case types.Bool:
		return "kq_text_bool(" + s + ")"
	case types.Int:
		return "TRY_CAST(kq_text_long(" + s + ") AS INTEGER)"
	case types.Long:
		return "kq_text_long(" + s + ")"
	case types.Real:
		return "kq_text_real(" + s + ")"
	case types.Decimal:
		return "kq_text_decimal(" + s + ")"
	case types.DateTime:
		return "kq_text_datetime(" + s + ")"
	case types.TimeSpan:
		return "kq_text_timespan(" + s + ")"
	case types.GUID:
		return "kq_text_guid(" + s + ")"
	}
	return s
}

// typeName writes gettype(x).
func (d DuckDB) typeName(g *Generator, x plan.Expr) (string, error) {
	s, err := g.Expr(x)
	if err != nil {
		return "", err
	}
	switch t := x.Type(); t {
	case types.Dynamic:
		return "kq_gettype(" + s + ")", nil
	case types.String:
		return "'string'", nil
	case types.Real, types.Decimal:
		return "", errorf("gettype(): the type %s is not supported", t)
	default:
		return "CASE WHEN " + s + " IS NULL THEN 'null' ELSE '" + t.String() + "' END", nil
	}
}
