package inert

import (
	"context"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

var _ provider.Mover = (*rp)(nil)

// CheckMove lets every inert resource move.
func (p *rp) CheckMove(context.Context, ids.ID, ids.ID) error { return nil }

// Moved has nothing to do: nothing is kept in memory.
func (p *rp) Moved(context.Context, ids.ID, ids.ID, authz.Principal) {}

// Move gives a resource and everything below it other ids.
func (p *rp) Move(_ context.Context, tx store.Tx, from, to ids.ID) error {
	if _, err := p.find(tx, from); err != nil {
		return err
	}
	old := map[string]record{}
	for e, err := range tx.Scan(bucket, p.key(from), "") {
		if err != nil {
			return err
		}
		if rest := e.Key[len(p.key(from)):]; rest != "" && rest[0] != '/' {
			continue // another resource whose name begins the same
		}
		r, err := store.GetJSON[record](tx, bucket, e.Key)
		if err != nil {
			return err
		}
		old[e.Key] = r
	}
	for key, r := range old {
		r.ID = to.String() + r.ID[len(from.String()):]
		id, err := ids.Parse(r.ID)
		if err != nil {
			return err
		}
		if err := tx.Delete(bucket, key); err != nil {
			return err
		}
		if err := store.PutJSON(tx, bucket, p.key(id), r); err != nil {
			return err
		}
	}
	return nil
}
