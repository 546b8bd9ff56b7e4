package branch

import (
	"fmt"
	"strconv"
	"strings"
)

// First is how to find out which rows of one part are the first of the order,
// without reading more than that takes. A part of which only these rows are read
// gives the same answer.
type First struct {
	// SQL is a statement of its own, "" when it would spare nothing. It has the branch's
	// Part where a SELECT of the part goes that gives file_index and file_row_number
	// beside the table's columns. Its rows are these two, BIGINT, in the order of the
	// branch.
	SQL    string
	Params []any // of SQL alone
	// Rows is how many are wanted; SQL may give more.
	Rows int
	// Keys are those of the order, at least one.
	Keys []Key
	// Wanted are ranges in which every row lies that comes. Exact says that every row
	// that lies in them comes.
	Wanted []Range
	Exact  bool
}

// Columns are those whose bounds say where first rows may be: of the keys, "" for one
// that is computed, and of the ranges.
func (f *First) Columns() (out []string) {
	for _, k := range f.Keys {
		out = append(out, k.Column)
	}
	for _, r := range f.Wanted {
		out = append(out, r.Column)
	}
	return out
}

// Key is one key of an order.
type Key struct {
	Column     string // the stored column that it is, "" when it is computed
	Desc       bool   // large values come first
	NullsFirst bool   // nulls come before all values
	// Ranked says that rows are in the order of the numbers that Column is stored as.
	Ranked bool
}

// Range says that Min <= column <= Max, for a stored column of 64 bits.
type Range struct {
	Column   string
	Min, Max int64
}

// Place is where a row stands in a part: the number of its file, and its own in
// that file, both from 0.
type Place struct{ File, Row int64 }

// Places is the statement that gives the places of a part's first rows. list is the
// columns of the part, files those that read_parquet is to read.
func (b Branch) Places(list string, files []string) string {
	return b.places("SELECT " + list + ", file_index, file_row_number FROM " + parquet(files...))
}

// PlacesWithin is Places for what [Within] leaves of the part.
func (b Branch) PlacesWithin(list string, files []string, groups []Group) (string, error) {
	part, err := within(files, groups, func(file int64) string {
		return list + ", " + strconv.FormatInt(file, 10) + " AS file_index, file_row_number"
	})
	return b.places(part), err
}

func (b Branch) places(part string) string {
	return strings.ReplaceAll(b.First.SQL, b.Part(), "("+part+")")
}

// Only is the part of which no other rows are left than those at the places. Each
// file is read by itself, because the engine tells which pieces of a file hold a
// row, but for files together only which rows of any.
func Only(list string, files []string, places []Place) (string, error) {
	rows := make([][]string, len(files))
	for _, p := range places {
		if p.File < 0 || p.File >= int64(len(files)) {
			return "", fmt.Errorf("BUG: a row of file %d of %d", p.File, len(files))
		}
		rows[p.File] = append(rows[p.File], strconv.FormatInt(p.Row, 10))
	}
	var selects []string
	for i, r := range rows {
		if len(r) > 0 {
			selects = append(selects, "SELECT "+list+" FROM "+parquet(files[i])+" WHERE file_row_number IN ("+strings.Join(r, ",")+")")
		}
	}
	if len(selects) == 0 {
		return "SELECT " + list + " FROM " + parquet(files[0]) + " WHERE false", nil
	}
	return strings.Join(selects, " UNION ALL "), nil
}

func parquet(files ...string) string { return "read_parquet([" + strings.Join(files, ",") + "])" }
