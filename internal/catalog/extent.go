package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kustos-io/kustos/internal/store"
)

// Extent is one immutable file of rows of a table.
type Extent struct {
	ID         string // GUID, also the file's name
	DatabaseID string
	TableID    string
	Columns    []int // ids of the columns it holds, in their order
	FileSize   int64 // bytes of the encrypted file
	Created    time.Time
	Stats      Stats `json:"-"` // sealed under the database key
}

// Stats tells about an extent's rows.
type Stats struct {
	Rows        int64
	ParquetSize int64
	// Ranges holds the smallest and largest value, by column id, of columns
	// stored as BIGINT that have a value at all. Nulls are not counted.
	Ranges map[int]MinMax
}

// MinMax is a closed range.
type MinMax struct{ Min, Max int64 }

// extentRecord is how an extent rests in the store.
type extentRecord struct {
	Extent
	Sealed []byte // Stats under the database key
}

func statsContext(e Extent) string { return "extent stats\x00" + e.TableID + "\x00" + e.ID }

// AddExtent adds an extent and, when through is above zero, moves the table's
// position: every row the write-ahead log holds of the table up to that
// sequence number is then in extents.
func (c *Catalog) AddExtent(tx store.Tx, e Extent, through uint64) error {
	if _, err := tx.Get(tableBucket, c.key(e.DatabaseID, e.TableID)); err != nil {
		return missing(err, "table %s", e.TableID)
	}
	plain, err := json.Marshal(e.Stats)
	if err != nil {
		return fmt.Errorf("encode statistics: %w", err)
	}
	sealed, err := c.sealers.Sealer(tx, e.DatabaseID).Seal(statsContext(e), plain)
	if err != nil {
		return fmt.Errorf("seal statistics of extent %s: %w", e.ID, err)
	}
	err = store.PutJSON(tx, extentBucket, c.key(e.DatabaseID, e.TableID, e.ID), extentRecord{e, sealed})
	if err != nil || through == 0 {
		return err
	}
	return c.SetPosition(tx, e.DatabaseID, e.TableID, through)
}

// RemoveExtents takes extents of a table out of the catalogue: all of them, or
// ErrNotFound when one is not there. It needs no key.
func (c *Catalog) RemoveExtents(tx store.Tx, databaseID, tableID string, ids []string) error {
	for _, id := range ids {
		if err := tx.Delete(extentBucket, c.key(databaseID, tableID, id)); err != nil {
			return missing(err, "extent %s", id)
		}
	}
	return nil
}

// Extents lists a table's extents in the order of their ids, with statistics.
func (c *Catalog) Extents(tx store.Tx, databaseID, tableID string) ([]Extent, error) {
	records, err := store.ListJSON[extentRecord](tx, extentBucket, c.key(databaseID, tableID)+"/")
	if err != nil {
		return nil, err
	}
	sealer := c.sealers.Sealer(tx, databaseID)
	out := make([]Extent, len(records))
	for i, r := range records {
		plain, err := sealer.Open(statsContext(r.Extent), r.Sealed)
		if err != nil {
			return nil, fmt.Errorf("open statistics of extent %s: %w", r.ID, err)
		}
		out[i] = r.Extent
		if err := json.Unmarshal(plain, &out[i].Stats); err != nil {
			return nil, fmt.Errorf("decode statistics of extent %s: %w", r.ID, err)
		}
	}
	return out, nil
}

// ExtentIDs lists the ids of all extents of a database. It needs no key.
func (c *Catalog) ExtentIDs(tx store.Tx, databaseID string) (map[string]bool, error) {
	records, err := store.ListJSON[extentRecord](tx, extentBucket, c.key(databaseID)+"/")
	if err != nil {
		return nil, err
	}
	ids := make(map[string]bool, len(records))
	for _, r := range records {
		ids[r.ID] = true
	}
	return ids, nil
}

// ExtentTotals is how many extents a database has and how many bytes their
// files. It needs no key.
func (c *Catalog) ExtentTotals(tx store.Tx, databaseID string) (extents, bytes int64, err error) {
	records, err := store.ListJSON[extentRecord](tx, extentBucket, c.key(databaseID)+"/")
	for _, r := range records {
		extents++
		bytes += r.FileSize
	}
	return extents, bytes, err
}

// HasExtent reports whether the catalogue names an extent. It needs no key.
func (c *Catalog) HasExtent(tx store.Tx, databaseID, tableID, id string) (bool, error) {
	_, err := tx.Get(extentBucket, c.key(databaseID, tableID, id))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// EachSealed gives fn every value of a database that is sealed under its key.
// It needs no key.
func (c *Catalog) EachSealed(tx store.Tx, databaseID string, fn func(sealed []byte) error) error {
	records, err := store.ListJSON[extentRecord](tx, extentBucket, c.key(databaseID)+"/")
	if err != nil {
		return err
	}
	for _, r := range records {
		if err := fn(r.Sealed); err != nil {
			return fmt.Errorf("statistics of extent %s: %w", r.ID, err)
		}
	}
	for e, err := range tx.Scan(policyBucket, c.key(databaseID)+"/", "") {
		if err != nil {
			return err
		}
		if err := fn(e.Value); err != nil {
			return fmt.Errorf("policy %s: %w", e.Key, err)
		}
	}
	return nil
}

// SetPosition says that the log's rows of a table up to a sequence number are
// done with. It never moves back.
func (c *Catalog) SetPosition(tx store.Tx, databaseID, tableID string, through uint64) error {
	now, err := c.Position(tx, databaseID, tableID)
	if err != nil {
		return err
	}
	if through <= now {
		return nil
	}
	return store.PutJSON(tx, positionBucket, c.key(databaseID, tableID), through)
}

// Position is the sequence number up to which the log's rows of a table are in
// extents; 0 when nothing ever was.
func (c *Catalog) Position(tx store.Tx, databaseID, tableID string) (uint64, error) {
	through, err := store.GetJSON[uint64](tx, positionBucket, c.key(databaseID, tableID))
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	return through, err
}
