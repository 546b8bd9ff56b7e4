package deploy

import (
	"fmt"
	"testing"
	"time"

	armscope "github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

// A lock keeps the history: it grows to the limit and then refuses.
func TestLockStopsPruning(t *testing.T) {
	t.Parallel()
	s := memstore.New()
	group := ids.ID{Subscription: "s", ResourceGroup: "g"}
	count := func() (n int) {
		_ = s.View(t.Context(), func(tx store.Tx) error {
			for range tx.Scan(recordBucket, group.Key()+"|", "") {
				n++
			}
			return nil
		})
		return n
	}
	add := func(from, to int) error {
		return s.Update(t.Context(), func(tx store.Tx) error {
			for i := from; i < to; i++ {
				name := fmt.Sprintf("d%03d", i)
				r := record{ID: deploymentID(group, name), Name: name, Scope: group.String(), State: stateSucceeded, Started: time.Unix(int64(i), 0)}
				if err := store.PutJSON(tx, recordBucket, r.key(), r); err != nil {
					return err
				}
			}
			return prune(tx, group)
		})
	}
	lock := armscope.Lock{Scope: "/subscriptions/s", Name: "l", Level: armscope.CanNotDelete}
	at := ids.ID{Subscription: "s"}
	if err := s.Update(t.Context(), func(tx store.Tx) error { return armscope.PutLock(tx, at, lock) }); err != nil {
		t.Fatal(err)
	}
	if err := add(0, historyLimit); err != nil || count() != historyLimit {
		t.Fatalf("%d records, %v", count(), err)
	}
	if err := add(historyLimit, historyLimit+1); azerr.From(err) == nil || azerr.From(err).Code != "DeploymentQuotaExceeded" || count() != historyLimit {
		t.Errorf("over the limit: %v, %d records", err, count())
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error { return armscope.DeleteLock(tx, at, "L") }); err != nil {
		t.Fatal(err)
	}
	if err := add(historyLimit, historyLimit+1); err != nil || count() != historyKeep {
		t.Errorf("without the lock: %d records, %v", count(), err)
	}
}
