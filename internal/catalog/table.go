package catalog

import (
	"fmt"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// CreateTable adds a table and returns it with its ids.
func (c *Catalog) CreateTable(tx store.Tx, t Table) (Table, error) {
	all, err := c.Tables(tx, t.DatabaseID)
	if err != nil {
		return Table{}, err
	}
	for _, other := range all {
		if other.Name == t.Name {
			return Table{}, fmt.Errorf("table %s: %w", t.Name, ErrExists)
		}
	}
	if t.ID == "" {
		t.ID = ids.NewGUID()
	}
	if t.Created.IsZero() {
		t.Created = c.now().UTC()
	}
	t, err = numberColumns(t)
	if err != nil {
		return Table{}, err
	}
	return t, store.PutJSON(tx, tableBucket, c.key(t.DatabaseID, t.ID), t)
}

// AlterTable replaces columns, folder and doc string of a table that is there
// and returns the new record.
func (c *Catalog) AlterTable(tx store.Tx, t Table) (Table, error) {
	old, err := store.GetJSON[Table](tx, tableBucket, c.key(t.DatabaseID, t.ID))
	if err != nil {
		return Table{}, missing(err, "table %s", t.Name)
	}
	kinds := make(map[int]Type, len(old.Columns))
	for _, col := range old.Columns {
		kinds[col.ID] = col.Type
	}
	for _, col := range t.Columns {
		if col.ID == 0 {
			continue
		}
		kind, ok := kinds[col.ID]
		if !ok {
			return Table{}, fmt.Errorf("column %d of table %s: %w", col.ID, old.Name, ErrNotFound)
		}
		if kind != col.Type {
			return Table{}, fmt.Errorf("column %s of table %s: %w", col.Name, old.Name, ErrTypeChange)
		}
	}
	old.Columns, old.Folder, old.DocString = t.Columns, t.Folder, t.DocString
	if old, err = numberColumns(old); err != nil {
		return Table{}, err
	}
	return old, store.PutJSON(tx, tableBucket, c.key(t.DatabaseID, t.ID), old)
}

// numberColumns gives every new column an id that was never used before.
func numberColumns(t Table) (Table, error) {
	t.Columns = append([]Column(nil), t.Columns...)
	names := make(map[string]bool, len(t.Columns))
	if t.NextColumnID == 0 {
		t.NextColumnID = 1
	}
	for i := range t.Columns {
		col := &t.Columns[i]
		if col.Type.Storage() == "" {
			return Table{}, fmt.Errorf("column %s has unknown type %q", col.Name, col.Type)
		}
		if names[col.Name] {
			return Table{}, fmt.Errorf("column %s: %w", col.Name, ErrExists)
		}
		names[col.Name] = true
		if col.ID == 0 {
			col.ID = t.NextColumnID
			t.NextColumnID++
		}
	}
	return t, nil
}

// DeleteTable removes a table with its extents and policies. It needs no key.
func (c *Catalog) DeleteTable(tx store.Tx, databaseID, tableID string) error {
	if err := tx.Delete(tableBucket, c.key(databaseID, tableID)); err != nil {
		return missing(err, "table %s", tableID)
	}
	for _, bucket := range []string{extentBucket, policyBucket} {
		if err := deleteAll(tx, bucket, c.key(databaseID, tableID)+"/"); err != nil {
			return err
		}
	}
	return deleteAll(tx, positionBucket, c.key(databaseID, tableID))
}

// Tables lists a database's tables in the order of their ids.
func (c *Catalog) Tables(tx store.Tx, databaseID string) ([]Table, error) {
	return store.ListJSON[Table](tx, tableBucket, c.key(databaseID)+"/")
}
