package envelope

import (
	"context"
	"errors"
	"fmt"

	"github.com/kustos-io/kustos/internal/audit"
)

// Auditor keeps a record of what is done with the cluster's key. An error means
// that the event is not recorded; the operation then fails.
type Auditor interface {
	Record(ctx context.Context, e audit.Event) error
}

// note records an operation on a key and completes its error.
func (k *Keyring) note(ctx context.Context, s subject, operation string, kek KEK, version string, err error) error {
	if k.audit == nil {
		return err
	}
	e := audit.Event{Operation: s.operations + "/" + operation, Result: audit.Allowed, Version: version, Scope: kek.VaultURI,
		Actor: audit.Actor{FirstParty: "cluster " + k.id, ObjectID: kek.Identity.ObjectID, Identity: kek.Identity.ResourceID}, Detail: "platform key"}
	if kek.Kind == KindCustomer {
		e.Detail = "customer key " + kek.KeyName
	}
	if s.operations != "clusterkey" {
		e.Detail = s.name + ", " + e.Detail
	}
	var revoked *RevokedError
	switch {
	case errors.As(err, &revoked):
		e.Result, e.Code = audit.Refused, revoked.Code
	case errors.Is(err, ErrRevoked):
		e.Result = audit.Refused
	case err != nil:
		e.Result = audit.Failed
		if errors.Is(err, ErrUnavailable) {
			e.Code = "Unavailable"
		}
	}
	if failure := k.audit.Record(ctx, e); failure != nil && err == nil {
		return fmt.Errorf("%s key of %s: %w", operation, s.name, failure)
	}
	return err
}
