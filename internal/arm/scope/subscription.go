package scope

import (
	"errors"
	"strings"

	"github.com/kustos-io/kustos/internal/store"
)

// Subscription holds what can change about a subscription.
type Subscription struct {
	Tags map[string]string
}

// FindSubscription returns the record; the zero value when nothing was ever changed.
func FindSubscription(tx store.Tx, id string) (Subscription, error) {
	s, err := store.GetJSON[Subscription](tx, subscriptionBucket, strings.ToLower(id))
	if errors.Is(err, store.ErrNotFound) {
		return Subscription{}, nil
	}
	return s, err
}

// PutSubscription replaces the record.
func PutSubscription(tx store.Tx, id string, s Subscription) error {
	return store.PutJSON(tx, subscriptionBucket, strings.ToLower(id), s)
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
