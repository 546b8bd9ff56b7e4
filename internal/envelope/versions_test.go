package envelope_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
)

func TestDropDatabaseKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t, memstore.New())
	old, err := f.ring.SealDatabase(f.db, "c", []byte("old"))
	must(t, err)
	f.rotateDatabase(t)
	f.rotateDatabase(t)
	young, err := f.ring.SealDatabase(f.db, "c", []byte("young"))
	must(t, err)
	if v, err := envelope.ValueKeyVersion(young); v != 3 || err != nil {
		t.Errorf("version %d, %v", v, err)
	}
	versions := func() (out []int) {
		must(t, f.store.View(ctx, func(tx store.Tx) (err error) { out, err = f.ring.DatabaseKeyVersions(tx, f.db); return err }))
		return out
	}
	drop := func(keep int) (dropped []int, err error) {
		err = f.store.Update(ctx, func(tx store.Tx) (err error) { dropped, err = f.ring.DropDatabaseKeys(tx, f.db, keep); return err })
		return dropped, err
	}
	for _, keep := range []int{0, -1, 4} {
		if _, err := drop(keep); !errors.Is(err, envelope.ErrNotFound) {
			t.Errorf("keep %d: %v", keep, err)
		}
	}
	f.ring.Lock() // it needs no key
	for range 2 {
		dropped, err := drop(3)
		must(t, err)
		if want := []int{1, 2}; len(dropped) > 0 && !cmp.Equal(want, dropped) || !cmp.Equal([]int{3}, versions()) {
			t.Errorf("dropped %v, left %v", dropped, versions())
		}
	}
	must(t, f.ring.Unlock(ctx))
	if _, err := f.ring.OpenDatabase(f.db, "c", old); !errors.Is(err, envelope.ErrNotFound) {
		t.Errorf("a value under a dropped version: %v", err)
	}
	if got, err := f.ring.OpenDatabase(f.db, "c", young); err != nil || string(got) != "young" {
		t.Errorf("%q, %v", got, err)
	}
	f.rotateDatabase(t)
	if diff := cmp.Diff([]int{3, 4}, versions()); diff != "" { // a number is never given twice
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// The wrap of a dropped version is in no file when ScrubDatabase has returned.
func TestDroppedKeysAreGoneFromTheDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := sqlstore.Open(ctx, filepath.Join(dir, "state.db"))
	must(t, err)
	defer s.Close()
	f := newFixture(t, s)
	var wrapped []byte
	must(t, s.View(ctx, func(tx store.Tx) error {
		for e, err := range tx.Scan("envelope.databases", "", "") {
			must(t, err)
			var record struct{ Keys []struct{ Wrapped []byte } }
			must(t, json.Unmarshal(e.Value, &record))
			wrapped = record.Keys[0].Wrapped
		}
		return nil
	}))
	holders := func() (out []string) {
		needle := []byte(base64.StdEncoding.EncodeToString(wrapped))
		must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if bytes.Contains(data, needle) {
				out = append(out, d.Name())
			}
			return err
		}))
		return out
	}
	if len(holders()) == 0 {
		t.Fatal("the test does not find a wrap that is there")
	}
	f.rotateDatabase(t)
	must(t, s.Update(ctx, func(tx store.Tx) error { _, err := f.ring.DropDatabaseKeys(tx, f.db, 2); return err }))
	must(t, f.ring.ScrubDatabase(ctx, f.db))
	if got := holders(); got != nil {
		t.Errorf("the wrap of version 1 lies in %v", got)
	}
}
