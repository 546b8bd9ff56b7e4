package scope

import (
	"errors"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const managementGroupBucket = "arm.managementgroups"

// ErrNoManagementGroup is returned for a management group that does not exist.
var ErrNoManagementGroup = errors.New("no such management group")

// ManagementGroupPrefix is how the id of every management group begins, in
// lower case.
const ManagementGroupPrefix = "/providers/microsoft.management/managementgroups/"

// MaxDepth is how many levels management groups can have below the root.
const MaxDepth = 6

// ManagementGroup holds subscriptions and other management groups. The root
// group, whose name is the tenant's id, is always there and holds everything.
type ManagementGroup struct {
	Name        string // casing of its creation
	DisplayName string
	Parent      string // name; "" for the root group itself
	Version     int
	Updated     time.Time
	UpdatedBy   string
}

// ID is the group's resource id.
func (g ManagementGroup) ID() ids.ID {
	return ids.ID{Namespace: "Microsoft.Management", Segments: []ids.Segment{{Type: "managementGroups", Name: g.Name}}}
}

// Hierarchy is the tree of management groups of a tenant: a value that reads
// it in the caller's transaction.
type Hierarchy struct{ TenantID string }

// Find returns a group by its name without case, or ErrNoManagementGroup.
func (h Hierarchy) Find(tx store.Tx, name string) (ManagementGroup, error) {
	g, err := store.GetJSON[ManagementGroup](tx, managementGroupBucket, strings.ToLower(name))
	if errors.Is(err, store.ErrNotFound) {
		if h.IsRoot(name) {
			return ManagementGroup{Name: h.TenantID, DisplayName: "Tenant Root Group", Version: 1}, nil
		}
		return ManagementGroup{}, ErrNoManagementGroup
	}
	return g, err
}

// IsRoot reports whether a name is that of the root group.
func (h Hierarchy) IsRoot(name string) bool { return strings.EqualFold(name, h.TenantID) }

// All lists the groups, the root first.
func (h Hierarchy) All(tx store.Tx) ([]ManagementGroup, error) {
	root, err := h.Find(tx, h.TenantID)
	if err != nil {
		return nil, err
	}
	stored, err := store.ListJSON[ManagementGroup](tx, managementGroupBucket, "")
	if err != nil {
		return nil, err
	}
	all := []ManagementGroup{root}
	for _, g := range stored {
		if !h.IsRoot(g.Name) {
			all = append(all, g)
		}
	}
	return all, nil
}

// Put inserts or replaces a group.
func (h Hierarchy) Put(tx store.Tx, g ManagementGroup) error {
	return store.PutJSON(tx, managementGroupBucket, strings.ToLower(g.Name), g)
}

// Delete removes a group, or returns ErrNoManagementGroup.
func (h Hierarchy) Delete(tx store.Tx, name string) error {
	err := tx.Delete(managementGroupBucket, strings.ToLower(name))
	if errors.Is(err, store.ErrNotFound) {
		return ErrNoManagementGroup
	}
	return err
}

// Path lists the groups from the root to the named one, both included.
func (h Hierarchy) Path(tx store.Tx, name string) ([]ManagementGroup, error) {
	var path []ManagementGroup
	for {
		g, err := h.Find(tx, name)
		if err != nil {
			return nil, err
		}
		path = append([]ManagementGroup{g}, path...)
		if h.IsRoot(g.Name) {
			return path, nil
		}
		if len(path) > MaxDepth {
			return nil, errors.New("BUG: management groups form a circle")
		}
		name = g.Parent
	}
}

// ParentOf is the name of the group that a subscription is in.
func (h Hierarchy) ParentOf(s Subscription) string {
	if s.Parent == "" {
		return h.TenantID
	}
	return s.Parent
}

// Above lists the management groups that a scope is in, from the innermost to
// the root: those of its subscription, or of a management group those above it.
// A scope at the tenant, or in a subscription that is not there, is in none.
func (h Hierarchy) Above(tx store.Tx, scope ids.ID) ([]ids.ID, error) {
	for scope.Parent != nil {
		scope = *scope.Parent
	}
	var name string
	switch {
	case scope.Subscription != "":
		s, err := FindSubscription(tx, scope.Subscription)
		if errors.Is(err, ErrNoSubscription) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		name = h.ParentOf(s)
	case strings.EqualFold(scope.Namespace, "Microsoft.Management") && len(scope.Segments) > 0 && strings.EqualFold(scope.Segments[0].Type, "managementGroups"):
		g, err := h.Find(tx, scope.Segments[0].Name)
		if errors.Is(err, ErrNoManagementGroup) {
			return nil, nil
		}
		if err != nil || h.IsRoot(g.Name) {
			return nil, err
		}
		name = g.Parent
	default:
		return nil, nil
	}
	path, err := h.Path(tx, name)
	if err != nil {
		return nil, err
	}
	above := make([]ids.ID, len(path))
	for i, g := range path {
		above[len(path)-1-i] = g.ID()
	}
	return above, nil
}
