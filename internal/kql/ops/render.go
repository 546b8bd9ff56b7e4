package ops

import (
	"strings"

	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/bind"
	"github.com/kustos-io/kustos/internal/kql/plan"
)

var charts = map[string]bool{
	"anomalychart": true, "areachart": true, "barchart": true, "card": true, "columnchart": true, "ladderchart": true, "linechart": true, "piechart": true,
	"pivotchart": true, "plotly": true, "scatterchart": true, "stackedareachart": true, "table": true, "timechart": true, "timepivot": true,
	"treemap": true, "graph": true, "list": true,
}

// properties are the names render knows, spelled as the answer's Visualization spells them in lower case.
var properties = map[string]bool{
	"title": true, "xcolumn": true, "series": true, "ycolumns": true, "anomalycolumns": true, "xtitle": true, "ytitle": true, "xaxis": true,
	"yaxis": true, "legend": true, "ysplit": true, "accumulate": true, "kind": true, "ymin": true, "ymax": true, "xmin": true, "xmax": true,
}

// render records what the client should draw; the rows stay as they are.
func render(op *ast.Render, in *plan.Rel) (*plan.Rel, error) {
	if !charts[op.Kind] {
		return nil, bind.Errorf(op, bind.CodeType, "the visualization '%s' is not known", op.Kind)
	}
	v := map[string]any{"Visualization": op.Kind}
	for _, p := range op.Props {
		name := strings.ToLower(p.Name)
		if !properties[name] {
			return nil, bind.Errorf(op, bind.CodeType, "the property '%s' of render is not known", p.Name)
		}
		switch name {
		case "series", "ycolumns", "anomalycolumns":
			list := strings.Split(p.Value, ",")
			for i := range list {
				list[i] = unquote(strings.TrimSpace(list[i]))
			}
			v[name] = list
		case "accumulate":
			v[name] = p.Value == "true"
		default:
			v[name] = unquote(p.Value)
		}
	}
	out := *in
	out.Visualization = v
	return &out, nil
}

func unquote(s string) string {
	for _, q := range []string{`['`, `["`} {
		if strings.HasPrefix(s, q) && len(s) > 4 {
			return s[2 : len(s)-2]
		}
	}
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}
