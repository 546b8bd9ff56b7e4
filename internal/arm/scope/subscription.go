package scope

import (
	"errors"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// ErrNoSubscription is returned for a subscription that does not exist.
var ErrNoSubscription = errors.New("no such subscription")

// SubscriptionState is whether a subscription can be used.
type SubscriptionState string

// The states. A disabled subscription can be read and emptied, not written.
const (
	Enabled  SubscriptionState = "Enabled"
	Disabled SubscriptionState = "Disabled"
)

// Subscription is one subscription of the tenant.
type Subscription struct {
	ID    string // lower case
	Name  string
	State SubscriptionState
	Tags  map[string]string
	// Parent is the name of the management group it is in, "" for the root group.
	Parent string `json:",omitempty"`
	// Workload is "Production" or "DevTest".
	Workload string `json:",omitempty"`
	Created  time.Time
}

// Scope is the subscription's resource id.
func (s Subscription) Scope() ids.ID { return ids.ID{Subscription: s.ID} }

// FindSubscription returns a subscription by its id without case, or
// ErrNoSubscription.
func FindSubscription(tx store.Tx, id string) (Subscription, error) {
	s, err := store.GetJSON[Subscription](tx, subscriptionBucket, strings.ToLower(id))
	if errors.Is(err, store.ErrNotFound) {
		return Subscription{}, ErrNoSubscription
	}
	return s.complete(id), err
}

// complete fills what records of the time of a single subscription lack.
func (s Subscription) complete(id string) Subscription {
	if s.ID == "" {
		s.ID = strings.ToLower(id)
	}
	if s.Name == "" {
		s.Name = firstName
	}
	if s.State == "" {
		s.State = Enabled
	}
	return s
}

// firstName is the display name of the tenant's first subscription until it is
// renamed.
const firstName = "Kustos"

// Subscriptions lists all, by id.
func Subscriptions(tx store.Tx) ([]Subscription, error) {
	var all []Subscription
	for e, err := range tx.Scan(subscriptionBucket, "", "") {
		if err != nil {
			return nil, err
		}
		s, err := FindSubscription(tx, e.Key)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// PutSubscription inserts or replaces.
func PutSubscription(tx store.Tx, s Subscription) error {
	return store.PutJSON(tx, subscriptionBucket, strings.ToLower(s.ID), s)
}

// EnsureSubscription makes the tenant's first subscription, of that display
// name, when it is not there.
func EnsureSubscription(tx store.Tx, id, name string, now time.Time) error {
	s, err := store.GetJSON[Subscription](tx, subscriptionBucket, strings.ToLower(id))
	if err == nil && s.ID != "" {
		return nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if s.Name == "" {
		s.Name = name
	}
	s = s.complete(id)
	s.Created = now
	return PutSubscription(tx, s)
}

// Registration is a namespace's state in a subscription.
type Registration struct {
	// Namespace has the casing of the caller that registered it.
	Namespace  string
	Registered bool
}

// FindRegistration returns what a subscription said about a namespace; ok is
// false when it never said anything.
func FindRegistration(tx store.Tx, subscription, namespace string) (r Registration, ok bool, err error) {
	r, err = store.GetJSON[Registration](tx, registrationBucket, groupKey(subscription, namespace))
	if errors.Is(err, store.ErrNotFound) {
		return Registration{}, false, nil
	}
	return r, err == nil, err
}

// Registrations lists everything a subscription said.
func Registrations(tx store.Tx, subscription string) ([]Registration, error) {
	return store.ListJSON[Registration](tx, registrationBucket, groupKey(subscription, ""))
}

// PutRegistration inserts or replaces.
func PutRegistration(tx store.Tx, subscription string, r Registration) error {
	return store.PutJSON(tx, registrationBucket, groupKey(subscription, r.Namespace), r)
}
