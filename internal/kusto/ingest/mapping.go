package ingest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/catalog"
)

// Mapping says which field or path of a record goes to which column.
type Mapping []Rule

// Rule is one element of an ingestion mapping. Member names are matched
// without case; Ordinal and Path may stand at the top level, as older clients
// write them.
type Rule struct {
	Column     string     `json:"column"`
	DataType   string     `json:"DataType"`
	Ordinal    any        `json:"Ordinal"`
	Path       string     `json:"Path"`
	Properties properties `json:"Properties"`
}

type properties struct {
	Ordinal    any    `json:"Ordinal"`
	Path       string `json:"Path"`
	Field      string `json:"Field"`
	ConstValue string `json:"ConstValue"`
	Transform  string `json:"Transform"`
}

// ParseMapping reads a mapping's JSON text. Constants and transforms are
// refused by name.
func ParseMapping(text string) (Mapping, error) {
	var m Mapping
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return nil, fmt.Errorf("the ingestion mapping is not valid JSON: %w", err)
	}
	for _, r := range m {
		if r.Column == "" {
			return nil, fmt.Errorf("an element of the ingestion mapping names no column")
		}
		if r.Properties.ConstValue != "" || r.Properties.Transform != "" {
			return nil, fmt.Errorf("the ingestion mapping of column '%s' uses a constant or a transform, which are not supported", r.Column)
		}
	}
	return m, nil
}

// rule finds the rule of a column.
func (m Mapping) rule(column string) (Rule, bool) {
	for _, r := range m {
		if r.Column == column {
			return r, true
		}
	}
	return Rule{}, false
}

// ordinals gives the field number of each column, -1 for none.
func (m Mapping) ordinals(t catalog.Table) ([]int, error) {
	if err := m.check(t); err != nil {
		return nil, err
	}
	out := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		out[i] = i
		if len(m) == 0 {
			continue
		}
		out[i] = -1
		if r, ok := m.rule(c.Name); ok {
			v := r.Properties.Ordinal
			if v == nil {
				v = r.Ordinal
			}
			n, err := strconv.Atoi(strings.Trim(fmt.Sprint(v), `"`))
			if err != nil || n < 0 {
				return nil, fmt.Errorf("the ingestion mapping of column '%s' has no valid Ordinal", c.Name)
			}
			out[i] = n
		}
	}
	return out, nil
}

// paths gives the JSON path of each column; without a mapping it is the column's name.
func (m Mapping) paths(t catalog.Table) ([]path, error) {
	if err := m.check(t); err != nil {
		return nil, err
	}
	out := make([]path, len(t.Columns))
	for i, c := range t.Columns {
		if len(m) == 0 {
			out[i] = path{{name: c.Name}}
			continue
		}
		r, ok := m.rule(c.Name)
		if !ok {
			continue // no rule: an empty path finds nothing
		}
		text := r.Properties.Path
		if text == "" {
			text = r.Path
		}
		if text == "" && r.Properties.Field != "" {
			out[i] = path{{name: r.Properties.Field}}
			continue
		}
		p, err := parsePath(text)
		if err != nil {
			return nil, fmt.Errorf("the ingestion mapping of column '%s': %w", c.Name, err)
		}
		out[i] = p
	}
	return out, nil
}

// check refuses rules for columns that the table does not have.
func (m Mapping) check(t catalog.Table) error {
	for _, r := range m {
		found := false
		for _, c := range t.Columns {
			found = found || c.Name == r.Column
		}
		if !found {
			return fmt.Errorf("the ingestion mapping names column '%s', which table '%s' does not have", r.Column, t.Name)
		}
	}
	return nil
}
