package parse

import (
	"maps"
	"slices"
)

// Operators lists the operators that may stand behind a pipe: those that are
// parsed, and those of the language that are refused by name. Both are sorted.
func Operators() (built, refused []string) {
	return slices.Sorted(maps.Keys(operatorTable())), slices.Sorted(maps.Keys(unbuilt))
}
