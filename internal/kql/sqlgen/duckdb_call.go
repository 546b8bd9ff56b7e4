package sqlgen

import (
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// Call implements Dialect.
func (d DuckDB) Call(g *Generator, c *plan.Call) (string, error) {
	switch {
	case strings.HasPrefix(c.Op, "text."):
		return d.text(g, c)
	case c.Op == "datetime.token" || c.Op == "timespan.token":
		return d.token(g, c)
	}
	switch c.Op {
	case "and", "or":
		args, err := g.Exprs(c.Args)
		return "(" + strings.Join(args, " "+strings.ToUpper(c.Op)+" ") + ")", err
	case "eq", "ne":
		return d.equality(g, c, false)
	case "lt", "le", "gt", "ge":
		return d.order(g, c)
	case "case":
		return d.choice(g, c)
	case "tostring":
		return d.toText(g, c.Args[0])
	case "todynamic":
		return d.json(g, c.Args[0])
	case "convert":
		return d.convert(g, c)
	case "gettype":
		return d.typeName(g, c.Args[0])
	case "dynamic.path":
		return d.path(g, c)
	case "datetime_diff", "datetime_add", "datetime_part":
		return d.part(g, c)
	}
	args, err := g.Exprs(c.Args)
	if err != nil {
		return "", err
	}
	if s, ok := d.numeric(c, args); ok {
		return s, nil
	}
	if s, ok := series(c.Op, args); ok {
		return s, nil
	}
	if s, ok := d.collection(g, c, args); ok {
		return s, nil
	}
	if t, ok := templates[c.Op]; ok {
		s := fill(t, args)
		for _, a := range c.Args {
			if c.Typ == types.String && a.Type() != types.String { // only such an argument can be null
				return "coalesce(" + s + ", '')", nil
			}
		}
		return s, nil
	}
	return "", errorf("BUG: the operation %s has no SQL", c.Op)
}

// fill puts the arguments in the places {0}, {1}, … of a template; {*} takes them all, separated by commas.
func fill(template string, args []string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(template, '{')
		if i < 0 || i+2 >= len(template) || template[i+2] != '}' {
			if i >= 0 {
				panic("BUG: a template has a stray brace: " + template)
			}
			b.WriteString(template)
			return b.String()
		}
		b.WriteString(template[:i])
		if template[i+1] == '*' {
			b.WriteString(strings.Join(args, ", "))
		} else {
			b.WriteString(args[template[i+1]-'0'])
		}
		template = template[i+3:]
	}
}

// choice writes pairs of condition and value with a last value; a null condition is not taken.
func (d DuckDB) choice(g *Generator, c *plan.Call) (string, error) {
	var b strings.Builder
	b.WriteString("CASE")
	for i := 0; i+1 < len(c.Args); i += 2 {
		p, err := d.Predicate(g, c.Args[i])
		if err != nil {
			return "", err
		}
		v, err := g.Expr(c.Args[i+1])
		if err != nil {
			return "", err
		}
		b.WriteString(" WHEN " + p + " THEN " + v)
	}
	v, err := g.Expr(c.Args[len(c.Args)-1])
	b.WriteString(" ELSE " + v + " END")
	return b.String(), err
}

// numeric writes the operations whose SQL depends on their type.
func (d DuckDB) numeric(c *plan.Call, a []string) (string, bool) {
	t := c.Typ
	real := t == types.Real
	switch c.Op {
	case "cast":
		return "CAST(" + a[0] + " AS " + d.Type(t) + ")", true
	case "neg":
		return "(-" + a[0] + ")", true
	case "add", "sub", "mul":
		return "(" + a[0] + " " + map[string]string{"add": "+", "sub": "-", "mul": "*"}[c.Op] + " " + a[1] + ")", true
	case "div":
		if real {
			return "(" + a[0] + " / " + a[1] + ")", true
		}
		return "(" + a[0] + " // " + a[1] + ")", true
	case "mod":
		return "kq_mod(" + a[0] + ", " + a[1] + ")", true
	case "bin":
		if l, ok := c.Args[1].(*plan.Lit); ok && !l.Null && l.Int > 0 && t == types.DateTime {
			return "(" + a[0] + " - " + a[0] + " % " + a[1] + ")", true
		}
		if real {
			return "kq_bin_real(" + a[0] + ", " + a[1] + ")", true
		}
		if t == types.DateTime {
			return "kq_range(kq_bin(" + a[0] + ", " + a[1] + "))", true
		}
		return "kq_bin(" + a[0] + ", " + a[1] + ")", true
	case "bin_at":
		s := "kq_bin_at("
		if real {
			s = "kq_bin_at_real("
		}
		s += strings.Join(a, ", ") + ")"
		if t == types.DateTime {
			s = "kq_range(" + s + ")"
		}
		return s, true
	case "isempty", "isnotempty", "isnull", "isnotnull":
		return emptiness(c.Op, c.Args[0].Type(), a[0]), true
	case "coalesce":
		if t == types.String {
			for i := range a {
				a[i] = "nullif(" + a[i] + ", '')"
			}
			return "coalesce(" + strings.Join(a, ", ") + ", '')", true
		}
		return "coalesce(" + strings.Join(a, ", ") + ")", true
	}
	return "", false
}

func emptiness(op string, t types.Type, x string) string {
	s := "(" + x + " IS NULL)"
	switch {
	case t == types.String && strings.HasSuffix(op, "empty"):
		s = "(" + x + " = '')"
	case t == types.String:
		s = "false"
	case t == types.Dynamic && strings.HasSuffix(op, "empty"):
		s = "(" + x + " IS NULL OR " + x + " = '\"\"')"
	}
	if strings.HasPrefix(op, "isnot") {
		return "(NOT " + s + ")"
	}
	return s
}

// collection writes operations with any number of arguments, and those with constant details.
func (d DuckDB) collection(g *Generator, c *plan.Call, a []string) (string, bool) {
	switch c.Op {
	case "in", "in.fold":
		if len(a) == 1 {
			return "false", true
		}
		if c.Op == "in.fold" {
			for i := range a {
				a[i] = "lower(" + a[i] + ")"
			}
		}
		s := a[0] + " IN (" + strings.Join(a[1:], ", ") + ")"
		if c.Args[0].Type() == types.String {
			return "(" + s + ")", true
		}
		return "coalesce(" + s + ", false)", true
	case "strcat":
		return "(" + strings.Join(a, " || ") + ")", true
	case "format":
		s := "(" + strings.Join(a[2:], " || ") + ")"
		return "CASE WHEN " + a[0] + " IS NULL THEN '' ELSE " + s + " END", true
	case "pack_array":
		if len(a) == 0 {
			return "'[]'", true
		}
		for i := range a {
			a[i] = "coalesce(" + a[i] + ", 'null')"
		}
		return "('[' || " + strings.Join(a, " || ',' || ") + " || ']')", true
	case "bag_pack", "bag_pack.present":
		return bag(c.Op, a), true
	case "unicode_codepoints_to_string":
		for i := range a {
			a[i] = "kq_characters(" + a[i] + ")"
		}
		return "(" + strings.Join(a, " || ") + ")", true
	case "replace_strings":
		return replaceEach(a), true
	case "isnotnull.key":
		return d.hasKey(g, c, a[0]), true
	case "bag_merge":
		return merge(a), true
	case "array_concat", "set_union":
		for i := range a {
			a[i] = "coalesce(kq_list(" + a[i] + "), [])"
		}
		s := "list_concat(" + strings.Join(a, ", ") + ")"
		if len(a) == 1 {
			s = a[0]
		}
		if c.Op == "set_union" {
			s = "list_sort(list_distinct(" + s + "))"
		}
		return "kq_array(" + s + ")", true
	case "set_intersect", "set_difference":
		s := "list_distinct(coalesce(kq_list(" + a[0] + "), []))"
		not := ""
		if c.Op == "set_difference" {
			not = "NOT "
		}
		for _, x := range a[1:] {
			s = "list_filter(" + s + ", lambda e: " + not + "list_contains(coalesce(kq_list(" + x + "), []), e))"
		}
		return "kq_array(list_sort(" + s + "))", true
	case "trim", "trim_start", "trim_end":
		s := a[0]
		if c.Op != "trim_end" {
			s = "regexp_replace(" + s + ", " + g.Param("^(?:"+c.Text+")") + ", '')"
		}
		if c.Op != "trim_start" {
			s = "regexp_replace(" + s + ", " + g.Param("(?:"+c.Text+")$") + ", '')"
		}
		return s, true
	case "extract":
		return "regexp_extract(" + a[1] + ", " + a[0] + ", " + strconv.FormatInt(c.Number, 10) + ")", true
	case "range":
		return arrayRange(c.Args[0].Type(), a), true
	case "extract_all":
		return extractAll(c.Number, a), true
	case "parse.match":
		return "regexp_matches(" + a[0] + ", " + g.Param(c.Text) + ")", true
	case "parse.group":
		return "regexp_extract(" + a[0] + ", " + g.Param(c.Text) + ", " + strconv.FormatInt(c.Number, 10) + ")", true
	}
	return "", false
}

// bag writes {"key":value,…}; the present form leaves out nulls.
func bag(op string, a []string) string {
	if len(a) == 0 {
		return "'{}'"
	}
	members := make([]string, 0, len(a)/2)
	for i := 0; i < len(a); i += 2 {
		key := "CAST(to_json(" + a[i] + ") AS VARCHAR) || ':' || "
		if op == "bag_pack.present" {
			members = append(members, "("+key+a[i+1]+")")
		} else {
			members = append(members, key+"coalesce("+a[i+1]+", 'null')")
		}
	}
	if op == "bag_pack.present" {
		return "('{' || concat_ws(',', " + strings.Join(members, ", ") + ") || '}')"
	}
	return "('{' || " + strings.Join(members, " || ',' || ") + " || '}')"
}

func extractAll(groups int64, a []string) string {
	all := func(n int64) string {
		return "regexp_extract_all(" + a[1] + ", " + a[0] + ", " + strconv.FormatInt(n, 10) + ")"
	}
	list := all(1)
	if groups > 1 {
		parts := make([]string, groups)
		for i := range parts {
			parts[i] = all(int64(i+1)) + "[i]"
		}
		list = "list_transform(range(1, len(" + all(1) + ") + 1), lambda i: [" + strings.Join(parts, ", ") + "])"
	}
	return "CASE WHEN len(" + all(0) + ") > 0 THEN CAST(to_json(" + list + ") AS VARCHAR) END"
}

// arrayRange writes the array form of range, cut at the language's limit.
func arrayRange(of types.Type, a []string) string {
	list := "kq_series(" + strings.Join(a, ", ") + ")"
	switch of {
	case types.DateTime:
		list = "list_transform(" + list + ", lambda i: kq_datetime_text(i))"
	case types.TimeSpan:
		list = "list_transform(" + list + ", lambda i: kq_timespan_text(i))"
	}
	return "CAST(to_json(" + list + ") AS VARCHAR)"
}

// merge writes bag_merge: every key of the bags with the value of the first bag that has it.
func merge(a []string) string {
	keys, values := make([]string, len(a)), make([]string, len(a))
	for i, x := range a {
		keys[i] = "coalesce(kq_keys(" + x + "), [])"
		values[i] = "kq_raw(" + x + ", k)"
	}
	return "('{' || coalesce(array_to_string(list_transform(list_sort(list_distinct(list_concat(" + strings.Join(keys, ", ") +
		"))), lambda k: CAST(to_json(k) AS VARCHAR) || ':' || coalesce(" + strings.Join(values, ", ") + ")), ','), '') || '}')"
}
