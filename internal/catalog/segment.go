package catalog

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kustos-io/kustos/internal/store"
)

// segmentRecord is how a segment of a log rests in the store.
type segmentRecord struct {
	Sequence uint64 // its number among those of the database
	GivenUp  bool   `json:",omitempty"`
}

// AddSegment says that the log of a database has a segment, which must be there until
// RemoveSegments says otherwise. It needs no key.
func (c *Catalog) AddSegment(tx store.Tx, databaseID, id string, sequence uint64) error {
	if _, err := tx.Get(databaseBucket, c.key(databaseID)); err != nil {
		return missing(err, "database %s", databaseID)
	}
	return store.PutJSON(tx, segmentBucket, c.key(databaseID, id), segmentRecord{Sequence: sequence})
}

// RemoveSegments says that segments are about to be removed. Those that are not listed
// are passed over. It needs no key.
func (c *Catalog) RemoveSegments(tx store.Tx, databaseID string, ids []string) error {
	for _, id := range ids {
		if err := tx.Delete(segmentBucket, c.key(databaseID, id)); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// GiveUpSegment says that a segment is lost for good, and that its database may answer
// without what was in it. ErrNotFound when it is not listed. It needs no key.
func (c *Catalog) GiveUpSegment(tx store.Tx, databaseID, id string) error {
	key := c.key(databaseID, id)
	r, err := store.GetJSON[segmentRecord](tx, segmentBucket, key)
	if err != nil {
		return missing(err, "log segment %s", id)
	}
	r.GivenUp = true
	return store.PutJSON(tx, segmentBucket, key, r)
}

// SegmentKey says whose log a segment is of.
type SegmentKey struct{ Cluster, Database string }

// FindSegment finds a segment that a log must have, of any cluster. ErrNotFound when
// none has it.
func FindSegment(tx store.Tx, id string) (SegmentKey, error) {
	for e, err := range tx.Scan(segmentBucket, "", "") {
		if err != nil {
			return SegmentKey{}, err
		}
		if parts := strings.Split(e.Key, "/"); len(parts) == 3 && parts[2] == id {
			return SegmentKey{parts[0], parts[1]}, nil
		}
	}
	return SegmentKey{}, fmt.Errorf("log segment %s: %w", id, ErrNotFound)
}

// Segments is what the catalogue has of the log of a database. It needs no key.
//
// listed are the segments that the log must have, by id; it may have others, in which
// nobody was told that a record is durable. givenUp are the numbers of those that it
// need not have.
func (c *Catalog) Segments(tx store.Tx, databaseID string) (listed map[string]bool, givenUp map[uint64]bool, err error) {
	prefix := c.key(databaseID) + "/"
	listed, givenUp = make(map[string]bool), make(map[uint64]bool)
	for e, err := range tx.Scan(segmentBucket, prefix, "") {
		if err != nil {
			return nil, nil, err
		}
		r, err := store.GetJSON[segmentRecord](tx, segmentBucket, e.Key)
		if err != nil {
			return nil, nil, fmt.Errorf("log segment %s: %w", e.Key, err)
		}
		if r.GivenUp {
			givenUp[r.Sequence] = true
		} else {
			listed[strings.TrimPrefix(e.Key, prefix)] = true
		}
	}
	return listed, givenUp, nil
}
