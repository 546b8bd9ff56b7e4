package directory

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/wire"
)

// Auditor keeps a record of refused sign-ins.
type Auditor interface {
	Record(ctx context.Context, e audit.Event) error
}

// attempt is what a request for a token says of itself, for the record of its
// refusal. User names are not in it: people type passwords into that field.
type attempt struct {
	operation string // "signin/password"; "" when no token is asked for
	clientID  string
}

type attemptKey struct{}

func withAttempt(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), attemptKey{}, &attempt{}))
}

// attemptOf is the attempt of a request; a caller without one gets one that
// nobody reads.
func attemptOf(ctx context.Context) *attempt {
	if a, ok := ctx.Value(attemptKey{}).(*attempt); ok {
		return a
	}
	return &attempt{}
}

// operationOf names a grant for the record; what is no grant is not quoted.
func operationOf(grant string) string {
	switch grant {
	case grantClient, grantPassword, grantCode, grantRefresh:
		return "signin/" + grant
	case grantDevice, "device_code":
		return "signin/device_code"
	}
	return "signin/token"
}

// recordRefusal puts a refusal on record. One that cannot be recorded stays a
// refusal; an operator is told.
func (d *Directory) recordRefusal(r *http.Request, operation, clientID, code string, status int) {
	if d.audit == nil {
		return
	}
	info := wire.RequestFrom(r.Context())
	event := audit.Event{Operation: operation, Result: audit.Refused, Actor: audit.Actor{TenantID: d.tenantID}, Rule: "sign-in", Status: status, Code: code,
		RequestID: info.ID, CorrelationID: info.CorrelationID}
	if ids.IsGUID(clientID) {
		event.Actor.AppID = clientID
	}
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		event.Actor.Address = at.Addr().Unmap().String()
	}
	if err := d.audit.Record(r.Context(), event); err != nil {
		d.log.ErrorContext(r.Context(), "a refused sign-in is not in the audit log", "error", err)
	}
}

// recordSignIn is recordRefusal for the sign-in endpoints. A device whose person
// has not come yet is not refused.
func (d *Directory) recordSignIn(r *http.Request, e *signInError) {
	if a := attemptOf(r.Context()); a.operation != "" && e.code != errDevicePending().code {
		d.recordRefusal(r, a.operation, a.clientID, fmt.Sprintf("AADSTS%d", e.code), e.status)
	}
}
