package kusto

import (
	"encoding/json"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/kql"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// kqlType maps the catalogue's type name to the compiler's.
func kqlType(t catalog.Type) types.Type {
	parsed, ok := types.Parse(string(t))
	if !ok {
		panic("BUG: catalogue holds column type " + string(t))
	}
	return parsed
}

// visualization is the JSON text of the Visualization property; it is sent
// even without a render operator, with every member null.
func visualization(r kql.Result) (json.RawMessage, error) {
	v := struct {
		Visualization  any
		Title          any
		XColumn        any
		Series         any
		YColumns       any
		AnomalyColumns any
		XTitle         any
		YTitle         any
		XAxis          any
		YAxis          any
		Legend         any
		YSplit         any
		Accumulate     bool
		IsQuerySorted  bool
		Kind           any
		Ymin, Ymax     any
		Xmin, Xmax     any
	}{Ymin: "NaN", Ymax: "NaN", IsQuerySorted: r.Sorted}
	for name, value := range r.Visualization {
		switch name {
		case "Visualization":
			v.Visualization = value
		case "title":
			v.Title = value
		case "xcolumn":
			v.XColumn = value
		case "series":
			v.Series = value
		case "ycolumns":
			v.YColumns = value
		case "anomalycolumns":
			v.AnomalyColumns = value
		case "xtitle":
			v.XTitle = value
		case "ytitle":
			v.YTitle = value
		case "xaxis":
			v.XAxis = value
		case "yaxis":
			v.YAxis = value
		case "legend":
			v.Legend = value
		case "ysplit":
			v.YSplit = value
		case "accumulate":
			v.Accumulate = value == "true"
		case "kind":
			v.Kind = value
		case "ymin":
			v.Ymin = value
		case "ymax":
			v.Ymax = value
		case "xmin":
			v.Xmin = value
		case "xmax":
			v.Xmax = value
		}
	}
	return json.Marshal(v)
}

// tableSchemaJSON is the Schema cell of `.show table T schema as json`.
func tableSchemaJSON(t catalog.Table) string {
	return string(mustJSON(struct {
		Name           string
		Folder         string
		DocString      string
		OrderedColumns []schemaColumn
	}{t.Name, t.Folder, t.DocString, schemaColumns(t)}))
}

type schemaColumn struct {
	Name      string
	Type      string
	CslType   string
	DocString string
}

func schemaColumns(t catalog.Table) []schemaColumn {
	out := make([]schemaColumn, len(t.Columns))
	for i, c := range t.Columns {
		out[i] = schemaColumn{c.Name, kqlType(c.Type).NetName(), string(c.Type), c.DocString}
	}
	return out
}

// cslSchema is the Schema cell of `.show table T cslschema`: "a:int,b:string".
func cslSchema(t catalog.Table) string {
	var b []byte
	for i, c := range t.Columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, c.Name...), ':'), c.Type...)
	}
	return string(b)
}

// databaseSchema is one database in `.show schema as json`. Functions and
// Graphs must be there, if empty: editors enumerate them unguarded.
type databaseSchema struct {
	Name               string
	Tables             map[string]tableSchema
	ExternalTables     map[string]any
	MaterializedViews  map[string]any
	EntityGroups       map[string]any
	Graphs             map[string]any
	MajorVersion       int
	MinorVersion       int
	Functions          map[string]any
	DatabaseAccessMode string
	DatabaseState      string
}

type tableSchema struct {
	Name           string
	Folder         string
	DocString      string
	EntityType     string
	OrderedColumns []schemaColumn
}

func schemaOf(name string, tables []catalog.Table) databaseSchema {
	none := map[string]any{}
	db := databaseSchema{Name: name, Tables: map[string]tableSchema{}, ExternalTables: none, MaterializedViews: none, EntityGroups: none, Graphs: none,
		Functions: none, MajorVersion: 1, DatabaseAccessMode: "ReadWrite", DatabaseState: "Normal"}
	for _, t := range tables {
		db.Tables[t.Name] = tableSchema{t.Name, t.Folder, t.DocString, "Table", schemaColumns(t)}
	}
	return db
}
