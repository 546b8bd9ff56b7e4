package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wal"
)

// Verification is what is true of some of a cluster's files.
type Verification struct {
	// Extents and Segments are how many were looked at, the Verified ones were
	// decrypted and authenticated as a whole.
	Extents, VerifiedExtents   int
	Segments, VerifiedSegments int
	Damage                     []Damage
	// Notes say what is no damage, and what could not be verified and why.
	Notes []string
	// Next is where the next call goes on, "DATABASE/EXTENT" behind these, "" at the end.
	Next string
}

// Damage is a file that is not as it was written.
type Damage struct {
	Path string // relative to the folder of the runtime
	What string
}

func (v *Verification) note(format string, args ...any) {
	v.Notes = append(v.Notes, fmt.Sprintf(format, args...))
}

// Verify decrypts and authenticates what a cluster has on disk, with the keys that
// it has now: one database after the other, of each the extents in the order of
// their ids and then the log, up to most bytes of extents but at least one. Queries
// and ingestion go on; what they write meanwhile may not be among it. What it cannot
// verify because a key is away it counts and notes; it asks no vault.
func (r *Runtime) Verify(ctx context.Context, id, after string, most int64) (v Verification, err error) {
	s, err := r.session(ctx, id)
	if errors.Is(err, ErrNotRunning) {
		return r.unverified(ctx, id, err)
	} else if err != nil {
		return v, err
	}
	if err := s.enter(); err != nil {
		return r.unverified(ctx, id, err)
	}
	defer s.leave()
	at, extent, _ := strings.Cut(after, "/")
	var read int64
	for _, db := range s.databases() {
		if db.id < at {
			continue
		}
		if db.id != at {
			extent = ""
		}
		whole, err := s.verifyDatabase(ctx, db, extent, most, &read, &v)
		if err != nil || !whole {
			return v, err
		}
	}
	v.Next = ""
	return v, nil
}

// unverified is Verify of a cluster that does not run.
func (r *Runtime) unverified(ctx context.Context, id string, why error) (v Verification, err error) {
	n, err := r.node(ctx, id)
	if err != nil {
		return v, err
	}
	err = r.cfg.Store.View(ctx, func(tx store.Tx) error {
		dbs, err := n.cat.Databases(tx)
		if err != nil {
			return err
		}
		for _, db := range dbs {
			extents, err := n.cat.ExtentIDs(tx, db.ID)
			if err != nil {
				return err
			}
			v.Extents += len(extents)
		}
		return nil
	})
	if err != nil {
		return v, fmt.Errorf("verify cluster %s: %w", id, err)
	}
	segments, err := filepath.Glob(filepath.Join(r.dir(id), "wal", "*"+wal.Suffix))
	v.Segments = len(segments)
	v.note("cluster %s: %v; its rows and log were not verified", id, why)
	return v, err
}

func (s *session) databases() []*database {
	s.names.RLock()
	defer s.names.RUnlock()
	return slices.SortedFunc(maps.Values(s.dbs), func(a, b *database) int { return strings.Compare(a.id, b.id) })
}

// relative is a path below the cluster's folder as [Damage] has it.
func (s *session) relative(parts ...string) string {
	return filepath.Join(append([]string{"clusters", s.cluster}, parts...)...)
}

// verifyDatabase verifies the extents of a database behind one, and its log. It is
// not whole when there are more than the bytes that may be read; read counts them.
// An error is that of ctx.
func (s *session) verifyDatabase(ctx context.Context, db *database, after string, most int64, read *int64, v *Verification) (whole bool, err error) {
	if err := db.lease.enter(); err != nil {
		return true, s.unverifiedDatabase(ctx, db, after, err, v)
	}
	defer db.lease.leave()
	within, end := s.during(ctx, db)
	defer end()
	for _, e := range s.extentsAfter(db, after) {
		if *read > 0 && *read+e.FileSize > most {
			return false, nil
		}
		*read += e.FileSize
		switch err := s.readExtent(within, e.Extent); {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case err == nil:
			v.VerifiedExtents++
		case !e.table.has(e.ID):
			continue // merged, rewritten or dropped meanwhile, and its file with it
		case within.Err() != nil:
			return true, s.unverifiedDatabase(ctx, db, after, context.Cause(within), v)
		case transient(err):
			v.note("extent %s: %v; it was not verified", e.ID, err)
		default:
			v.Damage = append(v.Damage, Damage{s.relative("extents", e.DatabaseID, e.ID+extentSuffix), err.Error()})
		}
		v.Extents++
		after = e.ID
		v.Next = db.id + "/" + after
	}
	return true, s.verifyLog(ctx, within, db, v)
}

// unverifiedDatabase counts what a closed database has behind an extent, and tells
// why it is closed.
func (s *session) unverifiedDatabase(ctx context.Context, db *database, after string, why error, v *Verification) error {
	err := s.store.View(ctx, func(tx store.Tx) error {
		extents, err := s.cat.ExtentIDs(tx, db.id)
		for id := range extents {
			if id > after {
				v.Extents++
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("verify database %s: %w", db.id, err)
	}
	v.Segments += len(db.journal.everything())
	if damaged := (*LogError)(nil); errors.As(why, &damaged) {
		v.Damage = append(v.Damage, Damage{s.relative("wal", damaged.Segment+wal.Suffix), damaged.Cause.Error()})
		v.note("database %s of cluster %s is closed because its log is damaged; its rows and the rest of its log were not verified", db.id, s.cluster)
		return nil
	}
	v.note("database %s of cluster %s: %v; its rows and log were not verified", db.id, s.cluster, why)
	return nil
}

// tableExtent is an extent with the table that has it.
type tableExtent struct {
	catalog.Extent
	table *table
}

// extentsAfter are the extents of a database behind one, in the order of their ids.
func (s *session) extentsAfter(db *database, id string) (out []tableExtent) {
	for _, t := range s.tablesOf(db) {
		t.mu.RLock()
		for _, e := range t.extents {
			if e.ID > id {
				out = append(out, tableExtent{e, t})
			}
		}
		t.mu.RUnlock()
	}
	slices.SortFunc(out, func(a, b tableExtent) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func (s *session) readExtent(ctx context.Context, e catalog.Extent) error {
	in, err := s.openExtent(e)
	if err != nil {
		return err
	}
	defer in.close()
	if size := in.Info().Size; size != e.FileSize {
		return fmt.Errorf("it has %d bytes, the catalogue says %d", size, e.FileSize)
	}
	if _, err := in.Section(); err != nil {
		return err
	}
	return in.CopyTo(ctx, io.Discard)
}

// verifyLog reads the log of a database as far as it is written now; within ends with
// the database too. An error is that of ctx.
func (s *session) verifyLog(ctx, within context.Context, db *database, v *Verification) error {
	segments, err := db.journal.ended()
	for err == nil {
		var results []wal.Result
		results, err = db.journal.recover(within, segments, func(wal.Segment, []byte) error { return nil })
		if errors.Is(err, os.ErrNotExist) {
			if left := there(segments); len(left) < len(segments) {
				segments, err = left, nil // pruned meanwhile: the oldest first
				continue
			}
		}
		v.VerifiedSegments += len(results)
		for i, result := range results {
			if result.TornAt >= 0 {
				v.note("segment %s: what was being written at offset %d is cut short: by a crash, and then none of it was acknowledged, or by somebody, which the file cannot tell", segments[i].ID, result.TornAt)
			}
		}
		break
	}
	v.Segments += len(segments)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
	case within.Err() != nil:
		v.note("log of database %s: %v; it was not verified", db.id, context.Cause(within))
	case transient(err):
		v.note("log of database %s: %v; it was not verified", db.id, err)
	default:
		v.Damage = append(v.Damage, Damage{s.relative("wal"), err.Error()})
	}
	return nil
}

// there are the segments whose files are still there.
func there(segments []wal.Segment) (left []wal.Segment) {
	for _, seg := range segments {
		if _, err := os.Stat(seg.Path); err == nil {
			left = append(left, seg)
		}
	}
	return left
}
