package fsck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/extent"
	"github.com/kustos-io/kustos/internal/fsck/report"
	"github.com/kustos-io/kustos/internal/wal"
)

// check is a verification under way.
type check struct{ report.Report }

const (
	extentSuffix = ".kxt"
	stateName    = "state.db"
)

// Structure checks what can be checked without any key. An error means that
// the folder cannot be read; damage is in the report.
func Structure(ctx context.Context, dir string) (report.Report, error) {
	var r check
	err := r.structure(ctx, dir)
	return r.Report, err
}

func (r *check) structure(ctx context.Context, dir string) error {
	if _, err := barrier.Describe(filepath.Join(dir, barrier.KeyringName)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("fsck: %s is not the data folder of a server", dir)
	} else if err != nil {
		r.Damaged(barrier.KeyringName, "%v", err)
	}
	logs := make(map[string]bool)
	err := filepath.WalkDir(filepath.Join(dir, "clusters"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
		case strings.HasSuffix(path, extentSuffix):
			r.Extents++
			r.extentFile(dir, rel)
		case strings.HasSuffix(path, wal.Suffix):
			r.Segments++
			logs[filepath.Dir(path)] = true
			r.segmentFile(dir, rel)
		default:
			r.Note("%s belongs to nothing; a crash may have left it, the next start removes it", rel)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("fsck: %w", err)
	}
	for log := range logs {
		r.sequence(dir, log)
	}
	return nil
}

func (r *check) extentFile(dir, rel string) {
	f, err := os.Open(filepath.Join(dir, rel))
	if err != nil {
		r.Damaged(rel, "%v", err)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		r.Damaged(rel, "%v", err)
		return
	}
	e, err := extent.Open(f, info.Size())
	if err != nil {
		r.Damaged(rel, "%v", err)
		return
	}
	if id := strings.TrimSuffix(filepath.Base(rel), extentSuffix); e.Info().ExtentID != id {
		r.Damaged(rel, "it holds extent %s", e.Info().ExtentID)
	}
	if db := filepath.Base(filepath.Dir(rel)); e.Info().DatabaseID != db {
		r.Damaged(rel, "it belongs to database %s", e.Info().DatabaseID)
	}
}

func (r *check) segmentFile(dir, rel string) {
	s, frames, rest, err := wal.Outline(filepath.Join(dir, rel))
	switch {
	case err != nil:
		r.Damaged(rel, "%v", err)
	case s.ID != strings.TrimSuffix(filepath.Base(rel), wal.Suffix):
		r.Damaged(rel, "it holds segment %s", s.ID)
	case rest > 0:
		r.Note("%s: %d bytes at its end are no whole frame; whether a crash cut them short or somebody did, only its key tells", rel, rest)
	default:
		for i, f := range frames {
			if f.Number != uint64(i) {
				r.Damaged(rel, "frame %d at offset %d says that it is frame %d", i, f.Offset, f.Number)
			}
		}
	}
}

// sequence checks that the segments of each database follow one another.
func (r *check) sequence(dir, log string) {
	rel, err := filepath.Rel(dir, log)
	if err != nil {
		rel = log
	}
	segments, err := wal.Segments(log, "")
	if err != nil {
		return // the segment that cannot be read has been reported
	}
	last := make(map[string]wal.Segment)
	for _, s := range segments {
		if before, ok := last[s.DatabaseID]; ok && s.Sequence != before.Sequence+1 {
			r.Damaged(rel, "log of database %s: segment %s has number %d, the one before it has %d", s.DatabaseID, s.ID, s.Sequence, before.Sequence)
		}
		last[s.DatabaseID] = s
	}
}
