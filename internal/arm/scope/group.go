package scope

import (
	"errors"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const (
	groupBucket        = "arm.groups"
	subscriptionBucket = "arm.subscriptions"
	registrationBucket = "arm.registrations"
)

// ErrNoGroup is returned for a resource group that does not exist.
var ErrNoGroup = errors.New("no such resource group")

// Group is a resource group as stored. Name has the casing of its creation.
type Group struct {
	Subscription string
	Name         string
	Location     ids.Location
	Tags         map[string]string
	ManagedBy    string
	// Deleting is the id of the operation that deletes the group, "" while it lives.
	Deleting         string
	Created, Changed time.Time
}

// ID is the group's resource id.
func (g Group) ID() ids.ID { return ids.ID{Subscription: g.Subscription, ResourceGroup: g.Name} }

func groupKey(subscription, name string) string {
	return strings.ToLower(subscription + "/" + name)
}

// FindGroup returns a group by its name without case, or ErrNoGroup.
func FindGroup(tx store.Tx, subscription, name string) (Group, error) {
	g, err := store.GetJSON[Group](tx, groupBucket, groupKey(subscription, name))
	if errors.Is(err, store.ErrNotFound) {
		return Group{}, ErrNoGroup
	}
	return g, err
}

// Groups lists the groups of a subscription by name.
func Groups(tx store.Tx, subscription string) ([]Group, error) {
	return store.ListJSON[Group](tx, groupBucket, groupKey(subscription, ""))
}

// PutGroup inserts or replaces a group.
func PutGroup(tx store.Tx, g Group) error {
	return store.PutJSON(tx, groupBucket, groupKey(g.Subscription, g.Name), g)
}

// DeleteGroup removes a group, or returns ErrNoGroup.
func DeleteGroup(tx store.Tx, subscription, name string) error {
	err := tx.Delete(groupBucket, groupKey(subscription, name))
	if errors.Is(err, store.ErrNotFound) {
		return ErrNoGroup
	}
	return err
}
