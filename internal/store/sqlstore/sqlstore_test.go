package sqlstore_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
	"github.com/kustos-io/kustos/internal/store/storetest"
)

func open(t *testing.T, dir string) store.Store {
	t.Helper()
	s, err := sqlstore.Open(context.Background(), filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSuite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, t.TempDir()) })
}

func TestDurable(t *testing.T) { storetest.RunDurable(t, open) }

func TestOddPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a b%41?c#d&é")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 || names[0].Name() != "state.db" {
		t.Fatalf("folder holds %v, %v", names, err)
	}
	if info, err := names[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	// while open, the files beside it have the mode of the store
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if info, err := os.Stat(filepath.Join(dir, "state.db"+suffix)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("state.db%s: %v, %v", suffix, info, err)
		}
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = sqlstore.Open(context.Background(), path)
	if !errors.Is(err, sqlstore.ErrNewerSchema) || !strings.Contains(err.Error(), "version 999") || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestNotADatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("text"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlstore.Open(context.Background(), path); err == nil {
		t.Error("a text file was opened")
	}
	if _, err := sqlstore.Open(context.Background(), filepath.Join(t.TempDir(), "no", "state.db")); err == nil {
		t.Error("a missing folder was accepted")
	}
}

// TestSealedOnDisk: with the barrier in front no value, old or new, is in the
// files in clear, and deleted ones leave nothing either.
func TestSealedOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	seal, err := barrier.CreateFileSeal(filepath.Join(t.TempDir(), "seal"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := barrier.Create(context.Background(), dir, seal)
	if err != nil {
		t.Fatal(err)
	}
	inner := open(t, dir)
	s := store.Sealed(inner, b)
	err = s.Update(context.Background(), func(tx store.Tx) error {
		for i := range 100 {
			if err := tx.Put("b", fmt.Sprint(i), []byte("needle-in-the-haystack")); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	search := func(when string) {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(data, []byte("needle-in")) {
				t.Errorf("%s: plaintext in %s", when, f)
			}
		}
	}
	search("open")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	search("closed")
}

// TestSecureDelete: what is deleted is overwritten in the file.
func TestSecureDelete(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	for _, fn := range []func(store.Tx) error{
		func(tx store.Tx) error { return tx.Put("b", "k", bytes.Repeat([]byte("haystack"), 5000)) },
		func(tx store.Tx) error { return tx.Delete("b", "k") },
	} {
		if err := s.Update(context.Background(), fn); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte("haystack")) {
		t.Error("a deleted value is still in the file")
	}
}
