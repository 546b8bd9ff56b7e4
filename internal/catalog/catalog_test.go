package catalog_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

// marks is a Sealers whose values show under which database and context they
// were sealed; with away set the key cannot be had.
type marks struct{ away bool }

var errAway = errors.New("key is away")

func (m *marks) Sealer(_ store.Tx, databaseID string) store.Sealer { return mark{m, databaseID} }

type mark struct {
	m  *marks
	db string
}

func (s mark) Seal(context string, plain []byte) ([]byte, error) {
	if s.m.away {
		return nil, errAway
	}
	sealed := []byte(s.db + "\x00" + context + "\x00")
	for _, b := range plain {
		sealed = append(sealed, b^0xff)
	}
	return sealed, nil
}

func (s mark) Open(context string, sealed []byte) ([]byte, error) {
	if s.m.away {
		return nil, errAway
	}
	rest, ok := strings.CutPrefix(string(sealed), s.db+"\x00"+context+"\x00")
	if !ok {
		return nil, errors.New("sealed for something else")
	}
	plain := []byte(rest)
	for i := range plain {
		plain[i] ^= 0xff
	}
	return plain, nil
}

type fixture struct {
	t     *testing.T
	store store.Store
	keys  *marks
	cat   *catalog.Catalog
	db    catalog.Database
	table catalog.Table
}

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func newFixture(t *testing.T) *fixture {
	f := &fixture{t: t, store: memstore.New(), keys: &marks{}}
	f.cat = catalog.New("c1", f.keys, func() time.Time { return now })
	f.update(func(tx store.Tx) (err error) {
		if f.db, err = f.cat.CreateDatabase(tx, catalog.Database{Name: "Db"}); err != nil {
			return err
		}
		f.table, err = f.cat.CreateTable(tx, catalog.Table{DatabaseID: f.db.ID, Name: "T", Columns: []catalog.Column{{Name: "a", Type: catalog.Long}, {Name: "A", Type: catalog.String}}})
		return err
	})
	return f
}

func (f *fixture) update(fn func(tx store.Tx) error) {
	f.t.Helper()
	if err := f.store.Update(context.Background(), fn); err != nil {
		f.t.Fatal(err)
	}
}

// refused runs a transaction that must fail with the error.
func (f *fixture) refused(want error, fn func(tx store.Tx) error) {
	f.t.Helper()
	if err := f.store.Update(context.Background(), fn); !errors.Is(err, want) {
		f.t.Fatalf("%v, want %v", err, want)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.refused(catalog.ErrExists, func(tx store.Tx) error { _, err := f.cat.CreateDatabase(tx, catalog.Database{Name: "dB"}); return err })
	f.refused(catalog.ErrExists, func(tx store.Tx) error {
		_, err := f.cat.CreateTable(tx, catalog.Table{DatabaseID: f.db.ID, Name: "T"})
		return err
	})
	f.refused(catalog.ErrNotFound, func(tx store.Tx) error { _, err := f.cat.FindDatabase(tx, "other"); return err })
	f.refused(catalog.ErrNotFound, func(tx store.Tx) error { return f.cat.DeleteDatabase(tx, "other") })
	f.refused(catalog.ErrNotFound, func(tx store.Tx) error { return f.cat.DeleteTable(tx, f.db.ID, "other") })
	f.update(func(tx store.Tx) error {
		// tables differ by case, and another cluster does not see ours
		if _, err := f.cat.CreateTable(tx, catalog.Table{DatabaseID: f.db.ID, Name: "t"}); err != nil {
			return err
		}
		others, err := catalog.New("c", f.keys, time.Now).Databases(tx)
		if len(others) != 0 {
			t.Errorf("cluster c sees %v", others)
		}
		return err
	})
}

func TestColumnIDsAreNeverReused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	want := f.table
	want.Columns = []catalog.Column{f.table.Columns[0], {Name: "b", Type: catalog.Real}}
	f.update(func(tx store.Tx) (err error) { f.table, err = f.cat.AlterTable(tx, want); return err })
	want = f.table
	want.Columns = append(want.Columns[:1:1], catalog.Column{Name: "c", Type: catalog.Bool})
	f.update(func(tx store.Tx) (err error) { f.table, err = f.cat.AlterTable(tx, want); return err })
	if diff := cmp.Diff([]catalog.Column{{ID: 1, Name: "a", Type: catalog.Long}, {ID: 4, Name: "c", Type: catalog.Bool}}, f.table.Columns); diff != "" {
		t.Fatal(diff)
	}
	for name, bad := range map[string]struct {
		columns []catalog.Column
		want    error
	}{
		"dropped id":   {[]catalog.Column{{ID: 3, Name: "b", Type: catalog.Real}}, catalog.ErrNotFound},
		"other type":   {[]catalog.Column{{ID: 1, Name: "a", Type: catalog.Int}}, catalog.ErrTypeChange},
		"name twice":   {[]catalog.Column{{Name: "x", Type: catalog.Int}, {Name: "x", Type: catalog.Int}}, catalog.ErrExists},
		"unknown type": {[]catalog.Column{{Name: "x", Type: "money"}}, nil},
	} {
		err := f.store.Update(context.Background(), func(tx store.Tx) error {
			altered := f.table
			altered.Columns = bad.columns
			_, err := f.cat.AlterTable(tx, altered)
			return err
		})
		if err == nil || bad.want != nil && !errors.Is(err, bad.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExtentsAndPositions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := catalog.Extent{
		ID: "e1", DatabaseID: f.db.ID, TableID: f.table.ID, Columns: []int{1, 2}, FileSize: 10, Created: now,
		Stats: catalog.Stats{Rows: 3, ParquetSize: 9, Ranges: map[int]catalog.MinMax{1: {Min: 424242, Max: 434343}}},
	}
	f.update(func(tx store.Tx) error { return f.cat.AddExtent(tx, e, 7) })
	f.update(func(tx store.Tx) error { return f.cat.SetPosition(tx, f.db.ID, f.table.ID, 5) })
	f.update(func(tx store.Tx) error {
		got, err := f.cat.Extents(tx, f.db.ID, f.table.ID)
		if diff := cmp.Diff([]catalog.Extent{e}, got); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
		if at, err := f.cat.Position(tx, f.db.ID, f.table.ID); at != 7 || err != nil {
			t.Errorf("position %d, %v: it moves back", at, err)
		}
		for entry := range tx.Scan("catalog.extents", "", "") {
			if strings.Contains(string(entry.Value), "424242") {
				t.Errorf("statistics rest in clear: %s", entry.Value)
			}
		}
		return nil
	})
	f.refused(catalog.ErrNotFound, func(tx store.Tx) error {
		e.TableID = "other"
		return f.cat.AddExtent(tx, e, 8)
	})
	f.keys.away = true
	f.refused(errAway, func(tx store.Tx) error { _, err := f.cat.Extents(tx, f.db.ID, f.table.ID); return err })
	f.update(func(tx store.Tx) error {
		ids, err := f.cat.ExtentIDs(tx, f.db.ID)
		if diff := cmp.Diff(map[string]bool{"e1": true}, ids); diff != "" || err != nil {
			t.Errorf("without the key: %v %s", err, diff)
		}
		return nil
	})
	f.update(func(tx store.Tx) error { return f.cat.DeleteTable(tx, f.db.ID, f.table.ID) })
	f.empty("catalog.extents", "catalog.positions", "catalog.tables")
}

func (f *fixture) empty(buckets ...string) {
	f.t.Helper()
	f.update(func(tx store.Tx) error {
		for _, b := range buckets {
			for e := range tx.Scan(b, "", "") {
				f.t.Errorf("%s still holds %s", b, e.Key)
			}
		}
		return nil
	})
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const kind = catalog.PolicyRetention
	f.refused(catalog.ErrNotFound, func(tx store.Tx) error { _, err := f.cat.Policy(tx, f.db.ID, "", kind); return err })
	f.update(func(tx store.Tx) error {
		return errors.Join(f.cat.SetPolicy(tx, f.db.ID, "", kind, []byte(`{"of":"database"}`)), f.cat.SetPolicy(tx, f.db.ID, f.table.ID, kind, []byte(`{"of":"table"}`)))
	})
	f.update(func(tx store.Tx) error {
		for table, want := range map[string]string{"": `{"of":"database"}`, f.table.ID: `{"of":"table"}`} {
			if body, err := f.cat.Policy(tx, f.db.ID, table, kind); err != nil || string(body) != want {
				t.Errorf("%s, %v, want %s", body, err, want)
			}
		}
		// one policy's bytes cannot be put in another's place
		raw, err := tx.Get("catalog.policies", "c1/"+f.db.ID+"/-/retention")
		if err != nil {
			return err
		}
		return tx.Put("catalog.policies", "c1/"+f.db.ID+"/"+f.table.ID+"/retention", raw)
	})
	if err := f.store.View(context.Background(), func(tx store.Tx) error { _, err := f.cat.Policy(tx, f.db.ID, f.table.ID, kind); return err }); err == nil {
		t.Error("a moved policy opens")
	}
	f.update(func(tx store.Tx) error {
		return errors.Join(f.cat.SetPolicy(tx, f.db.ID, "", kind, nil), f.cat.SetPolicy(tx, f.db.ID, "", kind, nil))
	})
	f.refused(catalog.ErrNotFound, func(tx store.Tx) error { _, err := f.cat.Policy(tx, f.db.ID, "", kind); return err })
}

func TestGrantsAndDelete(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.keys.away = true // none of this needs the key
	g := catalog.Grant{ID: "/Subscriptions/X", Scope: catalog.ScopeCluster, Role: "AllDatabasesAdmin", ObjectID: "o", TenantID: "t"}
	f.update(func(tx store.Tx) error { return f.cat.PutGrant(tx, g) })
	f.update(func(tx store.Tx) error {
		got, err := f.cat.Grants(tx)
		if diff := cmp.Diff([]catalog.Grant{g}, got); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
		return f.cat.DeleteGrant(tx, "/subscriptions/x")
	})
	f.refused(catalog.ErrNotFound, func(tx store.Tx) error { return f.cat.DeleteGrant(tx, "/subscriptions/x") })
	f.update(func(tx store.Tx) error { return f.cat.PutGrant(tx, g) })
	f.update(f.cat.Delete)
	f.empty("catalog.databases", "catalog.tables", "catalog.extents", "catalog.positions", "catalog.policies", "catalog.grants")
}
