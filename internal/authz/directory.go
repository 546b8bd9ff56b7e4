package authz

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kustos-io/kustos/internal/store"
)

// directoryAdministrator is the one directory role: it may read and manage
// everything in the directory, and nothing outside of it.
const directoryAdministrator = "directory administrator"

// GrantDirectoryAdministrator lets a principal manage the directory.
func (e *Engine) GrantDirectoryAdministrator(ctx context.Context, objectID string) error {
	done, err := e.once(ctx, "directory/"+objectID, func(tx store.Tx) error {
		return store.PutJSON(tx, bucketDirectory, strings.ToLower(objectID), directoryAdministrator)
	})
	if err != nil {
		return fmt.Errorf("grant directory administrator: %w", err)
	}
	if done {
		e.log.InfoContext(ctx, "directory role assigned", "principal", objectID, "role", directoryAdministrator)
	}
	return nil
}

func (e *Engine) decideDirectory(ctx context.Context, p Principal) (Decision, error) {
	var role string
	err := e.store.View(ctx, func(tx store.Tx) (err error) {
		role, err = store.GetJSON[string](tx, bucketDirectory, strings.ToLower(p.ObjectID))
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Decision{Rule: "no directory role"}, nil
	case err != nil:
		return Decision{}, err
	case role != directoryAdministrator:
		return Decision{Rule: "unknown directory role"}, nil
	}
	return Decision{Allowed: true, Rule: directoryAdministrator}, nil
}
