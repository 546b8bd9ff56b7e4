package eval

import (
	"maps"
	"slices"
)

// Names lists the built-in functions in lower case, sorted; "list*" stands for
// every name that begins so.
func (l *Library) Names() []string { return slices.Sorted(maps.Keys(l.table)) }
