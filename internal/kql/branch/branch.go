// Package branch repeats a piece of SQL for each part of a table. The compiler
// marks the pieces, and whoever runs the SQL knows the parts: files, tables in
// memory, buffers. An engine looks for the first rows of an order in one scan,
// but not on both sides of a union, so that each part is asked for its own first
// rows, and these are merged.
//
// It knows nothing of queries or engines, and must never change which rows come.
package branch

import (
	"strconv"
	"strings"
)

// Branch is a marked piece: a SELECT over one table that gives the first rows of
// an order, of which each part of the table may have its own.
type Branch struct {
	// ID tells it from the other branches of the statement.
	ID int
	// Merge is what makes the rows of one part out of those of all: " ORDER BY … LIMIT …".
	Merge string
	// First tells which rows of a part come; nil when that cannot be told beforehand,
	// or is not worth a statement.
	First *First
}

func (b Branch) begin() string { return "{{each:" + strconv.Itoa(b.ID) + "}}" }
func (b Branch) end() string   { return "{{end:" + strconv.Itoa(b.ID) + "}}" }

// Part stands in the piece where a FROM item goes.
func (b Branch) Part() string { return "{{part:" + strconv.Itoa(b.ID) + "}}" }

// Mark marks a piece.
func (b Branch) Mark(sql string) string { return b.begin() + sql + b.end() }

// Expand writes every branch of a table out over its parts, each a SELECT; there
// is at least one.
func Expand(sql string, branches []Branch, parts []string) string {
	for _, b := range branches {
		for {
			before, rest, found := strings.Cut(sql, b.begin())
			if !found {
				break
			}
			piece, after, found := strings.Cut(rest, b.end())
			if !found {
				panic("BUG: a branch without an end")
			}
			sql = before + b.write(piece, parts) + after
		}
	}
	return sql
}

func (b Branch) write(piece string, parts []string) string {
	each := make([]string, len(parts))
	for i, p := range parts {
		each[i] = strings.ReplaceAll(piece, b.Part(), "("+p+")")
	}
	if len(each) == 1 {
		return each[0]
	}
	return "SELECT * FROM ((" + strings.Join(each, ") UNION ALL (") + ")) AS t" + b.Merge
}
