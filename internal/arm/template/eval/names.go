package eval

import "slices"

// Names lists the built-in functions that work in lower case, sorted; "list*"
// stands for every name that begins so.
func (l *Library) Names() []string { return l.names(false) }

// Refused lists the functions of the language whose calls are refused with a
// reason, in lower case, sorted.
func (l *Library) Refused() []string { return l.names(true) }

func (l *Library) names(refused bool) []string {
	var out []string
	for name, b := range l.table {
		if b.refused == refused {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
