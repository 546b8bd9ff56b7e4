package sqlstore

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/kustos-io/kustos/internal/store"
)

// A store that cannot grow says so as any full disk does, keeps nothing of the
// transaction, and goes on when there is room.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	opened, err := Open(t.Context(), filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	s := opened.(*sqlStore)
	t.Cleanup(func() { _ = s.Close() })
	limit := func(pages string) { // no fewer than there are
		var now int
		if err := s.write.QueryRow("PRAGMA max_page_count = " + pages).Scan(&now); err != nil {
			t.Fatal(err)
		}
	}
	put := func() error {
		return s.Update(t.Context(), func(tx store.Tx) error {
			return errors.Join(tx.Put("b", "small", []byte("x")), tx.Put("b", "large", make([]byte, 1<<20)))
		})
	}
	limit("1")
	if err := put(); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("a full store says %v", err)
	}
	err = s.View(t.Context(), func(tx store.Tx) error { _, err := tx.Get("b", "small"); return err })
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("half of a transaction is there: %v", err)
	}
	limit("100000")
	if err := put(); err != nil {
		t.Error(err)
	}
}
