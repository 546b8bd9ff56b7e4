package authorization

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const maxLockNotes = 512

type lockResource struct {
	Properties lockProperties `json:"properties"`
	ID         string         `json:"id"`
	Type       string         `json:"type"`
	Name       string         `json:"name"`
}

type lockProperties struct {
	Level  string      `json:"level"`
	Notes  string      `json:"notes,omitempty"`
	Owners []lockOwner `json:"owners,omitempty"`
}

type lockOwner struct {
	ApplicationID string `json:"applicationId"`
}

func wireLock(l scope.Lock) lockResource {
	out := lockResource{ID: l.ID(), Type: namespace + "/locks", Name: l.Name, Properties: lockProperties{Level: string(l.Level), Notes: l.Notes}}
	for _, o := range l.Owners {
		out.Properties.Owners = append(out.Properties.Owners, lockOwner{o})
	}
	return out
}

// readLock validates the name and the body of a PUT.
func readLock(req *provider.Request) (scope.Lock, error) {
	l := scope.Lock{Scope: req.ID.Scope().String(), Name: req.ID.Name()}
	if n := len([]rune(l.Name)); n > 260 || strings.ContainsAny(l.Name, `<>%&:\?/`) || strings.ContainsFunc(l.Name, unicode.IsControl) {
		return l, azerr.InvalidLockName(l.Name)
	}
	var body struct {
		Properties *lockProperties `json:"properties"`
	}
	if err := json.Unmarshal(req.Body, &body); err != nil {
		return l, azerr.InvalidRequestContent("A lock is expected").Because(err)
	}
	if body.Properties == nil {
		return l, azerr.InvalidRequestContent("The member 'properties' is required")
	}
	switch in := body.Properties; {
	case strings.EqualFold(in.Level, string(scope.CanNotDelete)):
		l.Level = scope.CanNotDelete
	case strings.EqualFold(in.Level, string(scope.ReadOnly)):
		l.Level = scope.ReadOnly
	default:
		return l, azerr.InvalidRequestContent("The level of a lock must be 'CanNotDelete' or 'ReadOnly'. Path 'properties.level'")
	}
	if len([]rune(body.Properties.Notes)) > maxLockNotes {
		return l, azerr.InvalidRequestContent(fmt.Sprintf("The notes of a lock can have %d characters. Path 'properties.notes'", maxLockNotes))
	}
	l.Notes = body.Properties.Notes
	for _, o := range body.Properties.Owners {
		l.Owners = append(l.Owners, o.ApplicationID)
	}
	return l, nil
}

func (p *Provider) putLock(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	l, err := readLock(req)
	if err != nil {
		return nil, err
	}
	at := req.ID.Scope()
	if err := p.lockable(ctx, req, at); err != nil {
		return nil, err
	}
	status := http.StatusOK
	err = p.store.Update(ctx, func(tx store.Tx) error {
		old, err := scope.FindLock(tx, at, l.Name)
		switch {
		case errors.Is(err, scope.ErrNoLock):
			status = http.StatusCreated
		case err != nil:
			return err
		default:
			l.Name, l.Scope = old.Name, old.Scope
		}
		return scope.PutLock(tx, at, l)
	})
	if err != nil {
		return nil, fmt.Errorf("store lock: %w", err)
	}
	return &provider.Response{Status: status, Body: wireLock(l)}, nil
}

// lockable checks that what is to be locked is there. The front door has found
// the subscription and the group.
func (p *Provider) lockable(ctx context.Context, req *provider.Request, at ids.ID) error {
	if at.Subscription == "" {
		return azerr.LocksNotSupported(at.String())
	}
	if at.Namespace == "" {
		return nil
	}
	version := provider.NewestVersion(p.front.Providers(), at)
	if version == "" {
		return provider.NotFound(at)
	}
	_, err := p.front.Dispatch(ctx, &provider.Request{Method: http.MethodGet, ID: at, APIVersion: version, BaseURL: req.BaseURL, CorrelationID: req.CorrelationID,
		Principal: authz.Principal{TenantID: p.tenantID, FirstParty: namespace, Name: namespace}})
	return err
}

func (p *Provider) getLock(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var l scope.Lock
	err := p.store.View(ctx, func(tx store.Tx) (err error) {
		l, err = scope.FindLock(tx, req.ID.Scope(), req.ID.Name())
		return err
	})
	if errors.Is(err, scope.ErrNoLock) {
		return nil, azerr.LockNotFound(req.ID.Name())
	}
	if err != nil {
		return nil, fmt.Errorf("read lock: %w", err)
	}
	return provider.OK(wireLock(l))
}

func (p *Provider) deleteLock(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	err := p.store.Update(ctx, func(tx store.Tx) error { return scope.DeleteLock(tx, req.ID.Scope(), req.ID.Name()) })
	if errors.Is(err, scope.ErrNoLock) {
		return &provider.Response{Status: http.StatusNoContent}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("delete lock: %w", err)
	}
	return &provider.Response{Status: http.StatusOK}, nil
}

// listLocks lists what locks the scope and what is locked below it; with
// $filter=atScope() only the former.
func (p *Provider) listLocks(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	atScope := false
	if text := req.Query.Get("$filter"); text != "" {
		terms, parsed := parseFilter(text)
		if !parsed || len(terms) != 1 || !terms[0].is("atScope", true) || terms[0].value != "" {
			return nil, azerr.UnsupportedAuthorizationFilter(text, "'atScope()'")
		}
		atScope = true
	}
	at := req.ID.Scope()
	var found []scope.Lock
	err := p.store.View(ctx, func(tx store.Tx) (err error) {
		if found, err = scope.LocksAbove(tx, at); err != nil || atScope {
			return err
		}
		below, err := scope.LocksBelow(tx, at)
		found = append(found, below...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list locks: %w", err)
	}
	out := make([]lockResource, len(found))
	for i, l := range found {
		out[i] = wireLock(l)
	}
	return provider.OK(list{Value: out})
}
