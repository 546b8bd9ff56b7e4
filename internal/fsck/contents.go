package fsck

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/extent"
	"github.com/kustos-io/kustos/internal/fsck/report"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
	"github.com/kustos-io/kustos/internal/wal"
)

// Opener opens values of the state; barrier.Barrier does.
type Opener interface {
	Open(context string, sealed []byte) ([]byte, error)
}

// Config is what Contents needs.
type Config struct {
	Dir      string
	Barrier  Opener
	Store    store.Store // of the same folder, sealed
	Wrappers envelope.KeyWrappers
}

// Buckets whose keys and values are compared with files.
const (
	extentBucket  = "catalog.extents"
	segmentBucket = "catalog.segments"
	clusterBucket = "envelope.clusters"
)

// catalogued is an extent that the catalogue names.
type catalogued struct {
	cluster, database, id string
	size                  int64
}

// Contents checks what can be checked with the seal, and with the keys of
// clusters that can be had.
func Contents(ctx context.Context, cfg Config) (report.Report, error) {
	var r check
	err := r.contents(ctx, cfg)
	return r.Report, err
}

func (r *check) contents(ctx context.Context, cfg Config) error {
	found, ok := r.values(ctx, cfg.Dir, cfg.Barrier)
	if !ok {
		return ctx.Err()
	}
	r.compare(cfg.Dir, found.extents)
	for _, segment := range found.segments {
		if _, err := os.Stat(filepath.Join(cfg.Dir, segment)); err != nil {
			r.Damaged(segment, "the catalogue lists it, and rows in it may be nowhere else: %v", err)
		}
	}
	for _, id := range found.clusters {
		if err := r.cluster(ctx, cfg, id, found); err != nil {
			return err
		}
	}
	return nil
}

// Values checks every value of the state with the seal. The server whose state it
// is may run and change it meanwhile.
func Values(ctx context.Context, dir string, barrier Opener) (report.Report, error) {
	var r check
	r.values(ctx, dir, barrier)
	return r.Report, ctx.Err()
}

// records are what the files are compared with.
type records struct {
	extents  []catalogued
	segments []string                   // paths of log segments
	givenUp  map[string]map[uint64]bool // numbers of log segments, by database
	clusters []string
}

func (f *records) giveUp(database string, number uint64) {
	if f.givenUp == nil {
		f.givenUp = make(map[string]map[uint64]bool)
	}
	if f.givenUp[database] == nil {
		f.givenUp[database] = make(map[uint64]bool)
	}
	f.givenUp[database][number] = true
}

// values opens every value of the state. When that cannot be read to its end it is
// not ok, and the report says why.
func (r *check) values(ctx context.Context, dir string, barrier Opener) (found records, ok bool) {
	state := filepath.Join(dir, stateName)
	problems, err := sqlstore.Check(ctx, state, func(bucket, key string, sealed []byte) error {
		r.Values++
		plain, err := barrier.Open(bucket+"\x00"+key, sealed)
		if err != nil {
			r.Damaged(stateName, "value %s/%s: %v", bucket, key, err)
			return nil
		}
		switch parts := strings.Split(key, "/"); {
		case bucket == clusterBucket:
			found.clusters = append(found.clusters, key)
		case bucket == segmentBucket && len(parts) == 3:
			var record struct {
				Sequence uint64
				GivenUp  bool
			}
			if err := json.Unmarshal(plain, &record); err != nil {
				r.Damaged(stateName, "value %s/%s is not a record of a log segment", bucket, key)
				return nil
			}
			if record.GivenUp {
				r.Note("log segment %s was given up, and what it alone had", parts[2])
				found.giveUp(parts[1], record.Sequence)
				return nil
			}
			found.segments = append(found.segments, filepath.Join("clusters", parts[0], "wal", parts[2]+wal.Suffix))
		case bucket == extentBucket && len(parts) == 4:
			var record struct{ FileSize int64 }
			if err := json.Unmarshal(plain, &record); err != nil {
				r.Damaged(stateName, "value %s/%s is not a record of an extent", bucket, key)
				return nil
			}
			found.extents = append(found.extents, catalogued{parts[0], parts[1], parts[3], record.FileSize})
		}
		return nil
	})
	for _, p := range problems {
		r.Damaged(stateName, "%s", p)
	}
	if rest := slack(state); rest > 0 {
		r.Note("%s: %d bytes at its end are no whole page; nothing reads them", stateName, rest)
	}
	if err != nil {
		r.Damaged(stateName, "%v", err)
	}
	return found, err == nil
}

// slack is how many bytes lie behind the last whole page of a database file; its
// header has the size of a page. 0 when the file cannot be read: that is told otherwise.
func slack(path string) int64 {
	const at, header = 16, 100
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	head := make([]byte, header)
	info, err := f.Stat()
	if err != nil || info.Size() < header {
		return 0
	}
	if _, err := f.ReadAt(head, 0); err != nil {
		return 0
	}
	page := int64(binary.BigEndian.Uint16(head[at:]))
	if page <= 1 { // 65,536 does not fit
		page = 1 << 16
	}
	return info.Size() % page
}

func (e catalogued) path() string {
	return filepath.Join("clusters", e.cluster, "extents", e.database, e.id+extentSuffix)
}

// compare looks for files that are missing, of another size, or named by nobody.
func (r *check) compare(dir string, extents []catalogued) {
	named := make(map[string]bool)
	for _, e := range extents {
		named[e.path()] = true
		info, err := os.Stat(filepath.Join(dir, e.path()))
		switch {
		case err != nil:
			r.Damaged(e.path(), "the catalogue names it: %v", err)
		case info.Size() != e.size:
			r.Damaged(e.path(), "it has %d bytes, the catalogue says %d", info.Size(), e.size)
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "clusters", "*", "extents", "*", "*"+extentSuffix)) // the pattern is a good one
	for _, f := range files {
		if rel, err := filepath.Rel(dir, f); err == nil && !named[rel] {
			r.Note("%s is named by no catalogue; a crash may have left it, the next start removes it", rel)
		}
	}
}

// cluster verifies the files of one cluster when its key can be had.
func (r *check) cluster(ctx context.Context, cfg Config, id string, found records) error {
	ring, err := envelope.New(envelope.Config{ClusterID: id, Store: cfg.Store, Wrappers: cfg.Wrappers})
	if err != nil {
		return fmt.Errorf("fsck: cluster %s: %w", id, err)
	}
	wrapped, err := ring.Wrapped(ctx)
	if err != nil {
		r.Damaged(stateName, "key of cluster %s: %v", id, err)
		return nil
	}
	if err := ring.Unlock(ctx); err != nil {
		if wrapped.KEK.Kind == envelope.KindCustomer {
			r.Note("cluster %s: its key lies in %s and is not asked for here; rows and log can be verified by a running server only", id, wrapped.KEK.VaultURI)
		} else {
			r.Damaged(stateName, "key of cluster %s: %v", id, err)
		}
		return nil
	}
	defer ring.Lock()
	closed, err := r.closedDatabases(ctx, ring, id)
	if err != nil {
		return err
	}
	for _, e := range found.extents {
		if e.cluster != id || closed[e.database] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := verifyExtent(ctx, cfg.Dir, ring, e); err == nil {
			r.VerifiedExtents++
		} else if !errors.Is(err, os.ErrNotExist) { // reported already
			r.Damaged(e.path(), "%v", err)
		}
	}
	return r.log(ctx, cfg.Dir, ring, id, closed, found)
}

// closedDatabases unlocks the databases that have a KEK of their own, and says
// whose cannot be had: their rows and logs are not verified.
func (r *check) closedDatabases(ctx context.Context, ring *envelope.Keyring, id string) (map[string]bool, error) {
	closed := make(map[string]bool)
	own, err := ring.OwnKEKs(ctx)
	if err != nil {
		r.Damaged(stateName, "keys of databases of cluster %s: %v", id, err)
	}
	for db, wrapped := range own {
		if err := ring.UnlockDatabase(ctx, db); err != nil {
			closed[db] = true
			r.Note("database %s of cluster %s: its own key lies in %s and is not asked for here; its rows and log can be verified by a running server only", db, id, wrapped.KEK.VaultURI)
		}
	}
	return closed, ctx.Err()
}

func verifyExtent(ctx context.Context, dir string, ring *envelope.Keyring, e catalogued) error {
	f, err := os.Open(filepath.Join(dir, e.path()))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	file, err := extent.Open(f, info.Size())
	if err != nil {
		return err
	}
	object := envelope.Object{DatabaseID: e.database, Kind: envelope.Extent, ID: e.id}
	dek, err := ring.UnwrapDEK(object, file.Info().KeyVersion, file.Info().WrappedDEK)
	if err != nil {
		return err
	}
	defer dek.Wipe()
	return file.Verify(ctx, dek)
}

// log replays the log of every database without using the records.
func (r *check) log(ctx context.Context, dir string, ring *envelope.Keyring, id string, closed map[string]bool, found records) error {
	rel := filepath.Join("clusters", id, "wal")
	all, err := wal.Segments(filepath.Join(dir, rel), "")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		r.Damaged(rel, "%v", err)
		return nil
	}
	var databases []string
	for _, s := range all {
		if !slices.Contains(databases, s.DatabaseID) && !closed[s.DatabaseID] {
			databases = append(databases, s.DatabaseID)
		}
	}
	for _, db := range databases {
		segments := slices.DeleteFunc(slices.Clone(all), func(s wal.Segment) bool { return s.DatabaseID != db })
		var err error
		for _, run := range wal.Runs(segments, func(n uint64) bool { return found.givenUp[db][n] }) {
			var results []wal.Result
			results, err = wal.Recover(ctx, run, ring, func(wal.Segment, []byte) error { return nil })
			r.VerifiedSegments += len(results)
			for i, result := range results {
				if result.TornAt >= 0 {
					r.Note("%s: what was being written at offset %d is cut short: by a crash, and then none of it was acknowledged, or by somebody, which the file cannot tell", run[i].ID, result.TornAt)
				}
			}
			if err != nil {
				break
			}
		}
		if errors.Is(err, envelope.ErrNotFound) {
			r.Note("log of database %s: its key is gone with it; the next start removes the log", db)
		} else if err != nil {
			r.Damaged(rel, "%v", err)
		}
	}
	return ctx.Err()
}
