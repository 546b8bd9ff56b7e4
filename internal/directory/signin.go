package directory

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/kustos-io/kustos/internal/store"
)

const (
	// maxFailures wrong passwords in a row close an account for lockout.
	maxFailures = 10
	lockout     = time.Minute
	// maxFlows bounds the sign-ins that strangers can begin and not end.
	maxFlows = 1000
)

// signIns is what is going on between people and the sign-in endpoints. It
// lives in memory: after a restart a sign-in that was not finished begins anew.
type signIns struct {
	mu       sync.Mutex
	failures map[string]failure // user's object id
	devices  map[string]*deviceFlow
	pages    map[string]*page
	codes    map[string]*codeGrant
}

type failure struct {
	count int
	until time.Time // locked until then
}

func newSignIns() *signIns {
	return &signIns{failures: map[string]failure{}, devices: map[string]*deviceFlow{}, pages: map[string]*page{}, codes: map[string]*codeGrant{}}
}

// locked reports whether an account is closed for now.
func (s *signIns) locked(objectID string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.failures[objectID].until)
}

func (s *signIns) failed(objectID string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.failures[objectID]
	if f.count++; f.count >= maxFailures {
		f = failure{until: now.Add(lockout)}
	}
	s.failures[objectID] = f
}

func (s *signIns) forgive(objectID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.failures, objectID)
}

// sweep forgets what is over. Device codes stay for a while, so that a client
// that still asks is told that its code has expired.
func (s *signIns) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweepLocked(now)
}

func (s *signIns) sweepLocked(now time.Time) {
	for k, f := range s.devices {
		if now.After(f.expires.Add(deviceLifetime)) {
			delete(s.devices, k)
		}
	}
	for k, p := range s.pages {
		if now.After(p.expires) {
			delete(s.pages, k)
		}
	}
	for k, c := range s.codes {
		if now.After(c.expires) {
			delete(s.codes, k)
		}
	}
}

// checkPassword finds the user of a name and password. Who does not exist and
// who has another password are refused alike.
func (d *Directory) checkPassword(ctx context.Context, upn string, password Secret) (user, error) {
	var u user
	err := d.store.View(ctx, func(tx store.Tx) (err error) {
		u, err = userByUPN(tx, upn)
		return err
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return user{}, err
	}
	now := d.now()
	if u.ObjectID != "" && d.signIns.locked(u.ObjectID, now) {
		return user{}, errUserLocked()
	}
	ok, err := d.hasher.matches(ctx, u.Password, password)
	switch {
	case err != nil:
		return user{}, err
	case !ok:
		if u.ObjectID != "" {
			d.signIns.failed(u.ObjectID, now)
		}
		return user{}, errPasswordWrong()
	case u.Disabled: // only who knows the password is told
		return user{}, errUserDisabled()
	}
	d.signIns.forgive(u.ObjectID)
	return u, nil
}
