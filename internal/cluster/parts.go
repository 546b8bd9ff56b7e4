package cluster

import (
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/engine"
)

// part is a SELECT of some of a table's rows.
type part struct {
	sql string
	// list, files, names, extents and hots are those of a part that is read from
	// Parquet: its columns, the files as read_parquet takes them, their names in the
	// child, what they are of, and where they are.
	list         string
	files, names []string
	extents      []catalog.Extent
	hots         []*hot
}

// source is the parts that together yield a table's rows, at least one: hot tables,
// other extents, grouped by which columns they hold, and buffers.
func source(v view, tables []*slice, hots []*hot) (parts []part) {
	for _, x := range tables {
		parts = append(parts, part{sql: selectFrom(v.columns, x.has, engine.HotTable(x.name))})
	}
	var groups []*part
	for i, e := range v.extents {
		at := slices.IndexFunc(groups, func(g *part) bool { return slices.Equal(g.extents[0].Columns, e.Columns) })
		if at < 0 {
			at = len(groups)
			groups = append(groups, &part{})
		}
		g := groups[at]
		g.extents = append(g.extents, e)
		g.hots = append(g.hots, hots[i])
		g.names = append(g.names, hots[i].name)
		g.files = append(g.files, "'{{extent:"+hots[i].name+"}}'")
	}
	for _, g := range groups {
		g.list = selectList(v.columns, func(c catalog.Column) bool { return slices.Contains(g.extents[0].Columns, c.ID) })
		g.sql = "SELECT " + g.list + " FROM read_parquet([" + strings.Join(g.files, ",") + "])"
		parts = append(parts, *g)
	}
	for _, b := range v.buffers {
		has := func(c catalog.Column) bool {
			return slices.ContainsFunc(b.columns, func(o catalog.Column) bool { return o.ID == c.ID })
		}
		parts = append(parts, part{sql: selectFrom(v.columns, has, b.name)})
	}
	if len(parts) == 0 {
		none := func(catalog.Column) bool { return false }
		parts = append(parts, part{sql: selectFrom(v.columns, none, "(SELECT 1) WHERE false")})
	}
	return parts
}

func selectFrom(columns []catalog.Column, has func(catalog.Column) bool, from string) string {
	return "SELECT " + selectList(columns, has) + " FROM " + from
}

func selectList(columns []catalog.Column, has func(catalog.Column) bool) string {
	if len(columns) == 0 {
		return "NULL AS none"
	}
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = c.Physical()
		if !has(c) {
			list[i] = missingValue(c) + " AS " + c.Physical()
		}
	}
	return strings.Join(list, ",")
}

func missingValue(c catalog.Column) string {
	if !c.Type.Nullable() {
		return "''"
	}
	return "CAST(NULL AS " + c.Type.Storage() + ")"
}
