package catalog_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/store"
)

func TestSegments(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.keys.away = true // it takes no key
	segments := func(database string) (listed map[string]bool, givenUp map[uint64]bool) {
		t.Helper()
		f.update(func(tx store.Tx) (err error) {
			listed, givenUp, err = f.cat.Segments(tx, database)
			return err
		})
		return listed, givenUp
	}
	want := func(database string, listed map[string]bool, givenUp map[uint64]bool) {
		t.Helper()
		gotListed, gotGivenUp := segments(database)
		if diff := cmp.Diff(listed, gotListed); diff != "" {
			t.Errorf("listed (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(givenUp, gotGivenUp); diff != "" {
			t.Errorf("given up (-want +got):\n%s", diff)
		}
	}
	none, noNumber := map[string]bool{}, map[uint64]bool{}
	var one, two catalog.Database
	f.update(func(tx store.Tx) (err error) {
		if one, err = f.cat.CreateDatabase(tx, catalog.Database{Name: "one"}); err != nil {
			return err
		}
		two, err = f.cat.CreateDatabase(tx, catalog.Database{Name: "two"})
		return err
	})
	f.update(func(tx store.Tx) error {
		return errors.Join(f.cat.AddSegment(tx, one.ID, "a", 1), f.cat.AddSegment(tx, one.ID, "b", 2), f.cat.AddSegment(tx, two.ID, "c", 1), f.cat.AddSegment(tx, one.ID, "a", 1))
	})
	want(one.ID, map[string]bool{"a": true, "b": true}, noNumber)
	want(two.ID, map[string]bool{"c": true}, noNumber)
	f.update(func(tx store.Tx) error {
		if err := f.cat.AddSegment(tx, "nobody", "d", 1); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("of a database that is not there: %v", err)
		}
		if err := f.cat.GiveUpSegment(tx, two.ID, "a"); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("given up, of another database: %v", err)
		}
		if _, err := catalog.FindSegment(tx, "d"); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("found: %v", err)
		}
		got, err := catalog.FindSegment(tx, "b")
		if got.Database != one.ID {
			t.Errorf("found %+v", got)
		}
		return errors.Join(err, f.cat.GiveUpSegment(tx, got.Database, "b"))
	})
	want(one.ID, map[string]bool{"a": true}, map[uint64]bool{2: true})
	f.update(func(tx store.Tx) error { return f.cat.RemoveSegments(tx, one.ID, []string{"a", "x", "c"}) })
	want(one.ID, none, map[uint64]bool{2: true})
	want(two.ID, map[string]bool{"c": true}, noNumber)
	f.update(func(tx store.Tx) error { return f.cat.DeleteDatabase(tx, one.ID) })
	want(one.ID, none, noNumber)
	f.update(func(tx store.Tx) error { return f.cat.Delete(tx) })
	want(two.ID, none, noNumber)
}
