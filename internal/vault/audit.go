package vault

import (
	"context"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/wire"
)

// Auditor keeps a record of every operation and every refusal. An error means
// that the event is not recorded; the operation is then answered as failed.
type Auditor interface {
	Record(ctx context.Context, e audit.Event) error
}

// sweeper is who does what is due by itself.
func sweeper() authz.Principal { return authz.Principal{FirstParty: "Microsoft.KeyVault"} }

func actorEvent(p authz.Principal, address string) audit.Actor {
	return audit.Actor{ObjectID: p.ObjectID, AppID: p.Application(), TenantID: p.TenantID, Identity: p.Identity, FirstParty: p.FirstParty, Address: address}
}

// conclude fills in how an operation ended.
func conclude(e *audit.Event, err error) {
	if err == nil {
		e.Result, e.Status = audit.Allowed, http.StatusOK
		return
	}
	wireError := azerr.From(err)
	e.Result, e.Status, e.Code = audit.Failed, wireError.Status, wireError.Code
	if wireError.Inner != "" {
		e.Code += "/" + wireError.Inner
	}
	if s := wireError.Status; s == http.StatusUnauthorized || s == http.StatusForbidden || s == http.StatusMethodNotAllowed || strings.HasPrefix(wireError.Code, "Forbidden") {
		e.Result = audit.Refused
	}
}

// record concludes an event and appends it. It returns err, or why the event
// could not be recorded: then nobody may be told that the operation was done.
func (s *Service) record(ctx context.Context, e *audit.Event, err error) error {
	if s.Audit == nil {
		return err
	}
	conclude(e, err)
	info := wire.RequestFrom(ctx)
	e.RequestID, e.CorrelationID = info.ID, info.CorrelationID
	if failure := s.Audit.Record(ctx, *e); err == nil {
		return failure
	}
	return err
}

// managementEvent begins the event of a call through the management plane or
// from the sweeper.
func managementEvent(operation, scope string, by authz.Principal) *audit.Event {
	return &audit.Event{Operation: operation, Scope: scope, Actor: actorEvent(by, ""), Rule: "management plane"}
}

// recorded is record for use with defer: it completes *err.
func (s *Service) recorded(ctx context.Context, operation, scope string, by authz.Principal, err *error) {
	*err = s.record(ctx, managementEvent(operation, scope, by), *err)
}

// objectScope is the ARM id of a key or a secret.
func objectScope(v *Vault, a area, name string) string {
	if name == "" {
		return v.ResourceID
	}
	return v.ResourceID + "/" + string(a) + "/" + name
}
