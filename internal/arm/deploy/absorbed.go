package deploy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/kustos-io/kustos/internal/arm/template/value"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// absorbedBucket remembers, by resource key, what a provider took from a
// deployment and shows differently: a property it does not know or never
// shows, an id in another form, an empty text as none. Writing the same again
// changes nothing, and a what-if must say so. Only hashes are kept.
const absorbedBucket = "arm.deployment.absorbed"

// absorbed is one such difference.
type absorbed struct {
	Path          string
	Before, After string
}

func hashOf(v value.Value) string {
	sum := sha256.Sum256(value.AppendJSON(nil, v))
	return hex.EncodeToString(sum[:])
}

func (d propertyDelta) absorbed() absorbed {
	return absorbed{Path: d.Path, Before: hashOf(d.before), After: hashOf(d.after)}
}

// absorb compares what was written with what the provider shows now.
func (x *execution) absorb(ctx context.Context, typ, version string, id ids.ID, body *value.Object) error {
	resp, err := x.e.front.Dispatch(ctx, x.request("GET", id, version, nil))
	if err != nil {
		return nil // it cannot be read, so a what-if cannot compare it either
	}
	now, err := object(resp)
	if err != nil {
		return nil
	}
	var list []absorbed
	for _, d := range compare(shown(now, id, version), shown(written(now, body, x.e.replaced(id)), id, version), "", ignored(typ)) {
		if d.ChangeType != changeNoEffect {
			list = append(list, d.absorbed())
		}
	}
	had := false
	err = x.e.store.View(ctx, func(tx store.Tx) error {
		_, err := tx.Get(absorbedBucket, id.Key())
		had = err == nil
		return nil
	})
	if err != nil || !had && list == nil {
		return err
	}
	err = x.e.store.Update(context.WithoutCancel(ctx), func(tx store.Tx) error {
		if list != nil {
			return store.PutJSON(tx, absorbedBucket, id.Key(), list)
		}
		if err := tx.Delete(absorbedBucket, id.Key()); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record what the provider of %s shows: %w", id, err)
	}
	return nil
}

// settle marks the differences that a provider is known to absorb.
func (e *Engine) settle(ctx context.Context, id ids.ID, deltas []propertyDelta) error {
	if len(deltas) == 0 {
		return nil
	}
	var list []absorbed
	err := e.store.View(ctx, func(tx store.Tx) (err error) {
		list, err = store.GetJSON[[]absorbed](tx, absorbedBucket, id.Key())
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read what the provider of %s shows: %w", id, err)
	}
	for i := range deltas {
		for _, a := range list {
			if deltas[i].absorbed() == a {
				deltas[i].ChangeType, deltas[i].Children = changeNoEffect, nil
			}
		}
	}
	return nil
}
