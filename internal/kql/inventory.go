package kql

import (
	"slices"

	"github.com/kustos-io/kustos/internal/kql/funcs"
	"github.com/kustos-io/kustos/internal/kql/parse"
)

// Inventory is what the compiler knows, by name and sorted. A name that is in
// none of the lists is refused as unknown.
type Inventory struct {
	Operators  []string // behind a pipe
	Refused    []string // operators of the language that are refused by name
	Functions  []string // scalar
	Aggregates []string
}

// Known lists what the compiler knows.
func Known() Inventory {
	var i Inventory
	i.Operators, i.Refused = parse.Operators()
	i.Functions, i.Aggregates = funcs.Names(), funcs.AggregateNames()
	slices.Sort(i.Functions)
	slices.Sort(i.Aggregates)
	return i
}
