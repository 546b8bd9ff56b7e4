package kusto

import (
	"context"
	"errors"
	"fmt"

	"github.com/kustos-io/kustos/internal/store"
)

// StreamingIngest tells the data plane whether a cluster, named by the
// runtime's id, has enableStreamingIngest set. It is false for an unknown one.
func (p *Provider) StreamingIngest(ctx context.Context, clusterID string) (bool, error) {
	on := false
	err := p.store.View(ctx, func(tx store.Tx) error {
		key, err := tx.Get(bucketIDs, clusterID)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		rec, err := loadTx(tx, string(key))
		on = rec != nil && rec.flag("enableStreamingIngest")
		return err
	})
	if err != nil {
		return false, fmt.Errorf("flags of cluster %s: %w", clusterID, err)
	}
	return on, nil
}
