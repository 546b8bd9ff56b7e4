package sqlgen

import (
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// Aggregate implements Dialect.
func (d DuckDB) Aggregate(g *Generator, a plan.Agg) (string, error) {
	filter := ""
	if a.Filter != nil {
		f, err := d.Predicate(g, a.Filter)
		if err != nil {
			return "", err
		}
		filter = f
	}
	args, err := g.Exprs(a.Args)
	if err != nil {
		return "", err
	}
	if len(a.Outs) > 0 {
		return d.pick(g, a, args)
	}
	x, t := "", types.Invalid
	if len(args) > 0 {
		x, t = args[0], a.Args[0].Type()
	}
	// where makes the FILTER clause out of the aggregate's own condition and another one.
	where := func(more string) string {
		switch {
		case filter == "" && more == "":
			return ""
		case filter == "":
			return " FILTER (WHERE " + more + ")"
		case more == "":
			return " FILTER (WHERE " + filter + ")"
		}
		return " FILTER (WHERE (" + filter + ") AND " + more + ")"
	}
	simple := func(f string) string { return f + "(" + x + ")" + where("") }
	switch a.Func {
	case "count":
		return "count(*)" + where(""), nil
	case "sum":
		return "coalesce(" + simple("sum") + ", 0)", nil
	case "avg":
		if t == types.DateTime || t == types.TimeSpan {
			return "(" + simple("sum") + " // " + simple("count") + ")", nil
		}
		return "coalesce(" + simple("avg") + ", CAST('nan' AS DOUBLE))", nil
	case "min", "max":
		switch t {
		case types.String:
			return "coalesce(" + simple(a.Func) + ", '')", nil
		case types.Real:
			return "coalesce(" + a.Func + "(" + x + ")" + where("NOT isnan("+x+")") + ", " + simple(a.Func) + ")", nil
		}
		return simple(a.Func), nil
	case "take_any":
		s := simple("any_value")
		if a.Typ == types.String {
			s = "coalesce(" + s + ", '')"
		}
		return s, nil
	case "count_distinct":
		return "count(DISTINCT " + x + ")" + where(""), nil
	case "stdev":
		return "coalesce(" + simple("stddev_samp") + ", 0)", nil
	case "stdevp":
		return "coalesce(" + simple("stddev_pop") + ", 0)", nil
	case "variance":
		return "coalesce(" + simple("var_samp") + ", 0)", nil
	case "variancep":
		return "coalesce(" + simple("var_pop") + ", 0)", nil
	case "covariance":
		return "coalesce(covar_samp(" + x + ", " + args[1] + ")" + where("") + ", 0)", nil
	case "covariancep":
		return "coalesce(covar_pop(" + x + ", " + args[1] + ")" + where("") + ", 0)", nil
	case "binary_all_and":
		return simple("bit_and"), nil
	case "binary_all_or":
		return simple("bit_or"), nil
	case "binary_all_xor":
		return simple("bit_xor"), nil
	case "percentile":
		return "quantile_disc(" + x + ", " + strconv.FormatFloat(a.Number/100, 'f', -1, 64) + ")" + where(""), nil
	case "make_list", "make_list_with_nulls", "make_set":
		return d.list(g, a, t, where)
	}
	return "", errorf("BUG: an aggregate of unknown kind %s", a.Func)
}

// list writes the aggregates that collect values into a dynamic array.
func (d DuckDB) list(g *Generator, a plan.Agg, t types.Type, where func(string) string) (string, error) {
	j, err := d.json(g, a.Args[0])
	if err != nil {
		return "", err
	}
	order := ""
	if len(a.Order) > 0 && a.Func != "make_set" {
		order = " ORDER BY " + d.OrderBy(a.Order)
	}
	var s string
	switch {
	case a.Func == "make_list_with_nulls":
		s = "list(CAST(coalesce(" + j + ", 'null') AS JSON)" + order + ")" + where("")
	case t == types.Dynamic:
		s = "flatten(list(kq_items(" + j + ")" + order + ")" + where("("+j+") IS NOT NULL") + ")"
		if a.Func == "make_set" {
			s = "list_sort(list_distinct(" + s + "))"
		}
	case a.Func == "make_set":
		s = "list(DISTINCT CAST(" + j + " AS JSON) ORDER BY CAST(" + j + " AS JSON))" + where("("+j+") IS NOT NULL")
	default:
		s = "list(CAST(" + j + " AS JSON)" + order + ")" + where("("+j+") IS NOT NULL")
	}
	if a.Number > 0 {
		s = "list_slice(" + s + ", 1, " + strconv.FormatInt(int64(a.Number), 10) + ")"
	}
	return "coalesce(CAST(to_json(" + s + ") AS VARCHAR), '[]')", nil
}

// pick writes arg_max, arg_min and take_row: the fields of the row that comes first.
func (d DuckDB) pick(g *Generator, a plan.Agg, args []string) (string, error) {
	fields := make([]string, len(a.Outs))
	for i, o := range a.Outs {
		s, err := g.Expr(o.Expr)
		if err != nil {
			return "", err
		}
		fields[i] = "s" + strconv.Itoa(i) + " := CAST(" + s + " AS " + d.Type(o.Typ) + ")"
	}
	var order []string
	if len(args) > 0 {
		order = append(order, orderKey(args[0], plan.Key{Typ: a.Args[0].Type(), Desc: a.Func == "arg_max"}))
	}
	if len(a.Order) > 0 {
		order = append(order, d.OrderBy(a.Order))
	}
	s := "first(struct_pack(" + strings.Join(fields, ", ") + ")"
	if len(order) > 0 {
		s += " ORDER BY " + strings.Join(order, ", ")
	}
	return s + ")", nil
}
