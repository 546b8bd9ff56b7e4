package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
	"github.com/kustos-io/kustos/internal/store/storetest"
)

// Suites run on a namespace whose neighbours have entries of the same names.
func TestNamespaceIsAStore(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]store.Namespace{"owner": store.NewNamespace("tenants/b"), "zero": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) store.Store {
				root := memstore.New()
				t.Cleanup(func() { _ = root.Close() })
				for _, other := range []string{"tenants/a", "tenants/b2", "tenants/c"} {
					neighbour := store.NewNamespace(other).Store(root)
					err := neighbour.Update(t.Context(), func(tx store.Tx) error {
						return errors.Join(tx.Put("b", "theirs", nil), tx.Put("b2", "theirs", nil))
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				return own.Store(root)
			})
		})
	}
}

func TestNamespaceSharesOnlyWhatIsNamed(t *testing.T) {
	t.Parallel()
	root := memstore.New()
	t.Cleanup(func() { _ = root.Close() })
	a, b := store.NewNamespace("a", "vault.", "names"), store.NewNamespace("b", "vault.", "names")
	put := func(s store.Store, bucket string) {
		t.Helper()
		if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put(bucket, "k", []byte("v")) }); err != nil {
			t.Fatal(err)
		}
	}
	has := func(s store.Store, bucket string) (there bool) {
		t.Helper()
		err := s.View(t.Context(), func(tx store.Tx) error {
			_, err := tx.Get(bucket, "k")
			there = err == nil
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return there
	}
	for _, c := range []struct {
		bucket string
		shared bool
	}{
		{"vault.keys", true}, {"vault.", true}, {"names", true},
		{"vault", false}, {"vaults", false}, {"names.more", false}, {"directory.users", false}, {"", false}, {"b/names", false},
	} {
		put(a.Store(root), c.bucket)
		if !has(a.Store(root), c.bucket) || has(b.Store(root), c.bucket) != c.shared || has(root, c.bucket) != c.shared {
			t.Errorf("bucket %q: own %v, other owner %v, below %v, want shared %v", c.bucket, has(a.Store(root), c.bucket), has(b.Store(root), c.bucket), has(root, c.bucket), c.shared)
		}
	}
}

// One transaction is seen from both sides: an owner's part and what is shared.
func TestNamespaceTransactions(t *testing.T) {
	t.Parallel()
	root := memstore.New()
	t.Cleanup(func() { _ = root.Close() })
	a, b := store.NewNamespace("a"), store.NewNamespace("b")
	refused := errors.New("refused")
	for _, outcome := range []error{refused, nil} {
		err := a.Store(root).Update(t.Context(), func(tx store.Tx) error {
			err := errors.Join(tx.Put("x", "k", []byte("a")), store.Root(tx).Put("x", "k", []byte("root")), b.Tx(tx).Put("x", "k", []byte("b")), a.Tx(store.Root(tx)).Put("y", "k", []byte("a too")))
			return errors.Join(err, outcome)
		})
		if !errors.Is(err, outcome) {
			t.Fatal(err)
		}
		want := map[string]string{}
		if outcome == nil {
			want = map[string]string{"a/x": "a", "x": "root", "b/x": "b", "a/y": "a too"}
		}
		if diff := cmp.Diff(want, dump(t, root, "a/x", "x", "b/x", "a/y")); diff != "" {
			t.Errorf("after %v (-want +got)\n%s", outcome, diff)
		}
	}
}

func TestWithinIsOneTransaction(t *testing.T) {
	t.Parallel()
	root := memstore.New()
	t.Cleanup(func() { _ = root.Close() })
	steps := func(tx store.Tx) error {
		s := store.NewNamespace("a").Store(store.Within(tx))
		for i := range 2 {
			if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Put("x", fmt.Sprint(i), []byte("v")) }); err != nil {
				return err
			}
		}
		return s.View(t.Context(), func(tx store.Tx) error { _, err := tx.Get("x", "1"); return err })
	}
	refused := errors.New("refused")
	err := root.Update(t.Context(), func(tx store.Tx) error { return errors.Join(steps(tx), refused) })
	if !errors.Is(err, refused) || len(dump(t, root, "a/x")) != 0 {
		t.Errorf("a refused transaction: %v, left %v", err, dump(t, root, "a/x"))
	}
	if err := root.Update(t.Context(), steps); err != nil || len(dump(t, root, "a/x")) != 1 {
		t.Errorf("%v, %v", err, dump(t, root, "a/x"))
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	err = root.Update(t.Context(), func(tx store.Tx) error {
		return store.Within(tx).Update(over, func(store.Tx) error { t.Error("fn ran"); return nil })
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// dump reads the last value of each bucket.
func dump(t *testing.T, s store.Store, buckets ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := s.View(t.Context(), func(tx store.Tx) error {
		for _, b := range buckets {
			for e, err := range tx.Scan(b, "", "") {
				if err != nil {
					return err
				}
				out[b] = string(e.Value)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
