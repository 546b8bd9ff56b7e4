package authz

import (
	"strings"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const managementGroups = "/providers/microsoft.management/managementgroups/"

// reaches reports whether a right at scope granted reaches scope asked: it is
// the same, it is above by its id, or it is a management group that asked is
// in. Both are keys.
func (e *Engine) reaches(tx store.Tx, granted, asked string) (bool, error) {
	if covers(granted, asked) {
		return true, nil
	}
	// Only rights at management groups cost a look at the tree.
	if e.hierarchy == nil || !strings.HasPrefix(granted, managementGroups) {
		return false, nil
	}
	id, err := ids.Parse(asked)
	if err != nil {
		return false, err
	}
	above, err := e.hierarchy.Above(tx, id)
	if err != nil {
		return false, err
	}
	for _, group := range above {
		if group.Key() == granted {
			return true, nil
		}
	}
	return false, nil
}
