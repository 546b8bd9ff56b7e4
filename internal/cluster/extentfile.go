package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/durable"
	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/extent"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const extentSuffix = ".kxt"

func (s *session) extentDir(databaseID string) string {
	return filepath.Join(s.dir, "extents", databaseID)
}

// extentPath is where an extent's file lies.
func (s *session) extentPath(databaseID, id string) string {
	return filepath.Join(s.extentDir(databaseID), id+extentSuffix)
}

// section is what the file itself tells, sealed, about its columns, so that it
// can be read without the catalogue.
type section struct {
	TableID string          `json:"tableId"`
	Columns []sectionColumn `json:"columns"`
	Rows    int64           `json:"rows"`
}

type sectionColumn struct {
	ID   int          `json:"id"`
	Type catalog.Type `json:"type"`
}

// writeExtent encrypts a Parquet file into an extent file that is durable when
// it returns. Until the catalogue names it the file is an orphan. The
// statistics are still missing but for the rows and the size.
func (s *session) writeExtent(meta catalog.Table, columns []catalog.Column, plain *os.File, rows int64) (catalog.Extent, error) {
	info, err := plain.Stat()
	if err != nil {
		return catalog.Extent{}, fmt.Errorf("write extent: %w", err)
	}
	e := catalog.Extent{
		ID: ids.NewGUID(), DatabaseID: meta.DatabaseID, TableID: meta.ID, Created: s.cfg.Now().UTC(),
		Stats: catalog.Stats{Rows: rows, ParquetSize: info.Size()},
	}
	about := section{TableID: meta.ID, Rows: rows}
	for _, c := range columns {
		e.Columns = append(e.Columns, c.ID)
		about.Columns = append(about.Columns, sectionColumn{c.ID, c.Type})
	}
	sealed, err := json.Marshal(about)
	if err != nil {
		return catalog.Extent{}, fmt.Errorf("write extent: %w", err)
	}
	if e.FileSize, err = s.encryptExtent(e, sealed, info.Size(), io.NewSectionReader(plain, 0, info.Size())); err != nil {
		return catalog.Extent{}, fmt.Errorf("write extent: %w", err)
	}
	return e, nil
}

// encryptExtent encrypts a payload of length bytes, and the section, under a
// fresh DEK into the file of e, which must not exist. It returns the file's size.
func (s *session) encryptExtent(e catalog.Extent, section []byte, length int64, payload io.Reader) (size int64, err error) {
	object := envelope.Object{DatabaseID: e.DatabaseID, Kind: envelope.Extent, ID: e.ID}
	dek, wrapped, version, err := s.ring.WrapDEK(object)
	if err != nil {
		return 0, err
	}
	defer dek.Wipe()
	if err := durable.MkdirAll(s.extentDir(e.DatabaseID), 0o700); err != nil {
		return 0, err
	}
	header := extent.Header{
		ExtentID: e.ID, DatabaseID: e.DatabaseID, KeyVersion: version, WrappedDEK: wrapped, Length: length, Section: section,
	}
	path := s.extentPath(e.DatabaseID, e.ID)
	err = durable.CreateFrom(path, 0o600, func(w io.Writer) error {
		return extent.Write(durable.Through(s.cfg.Disk, path, w), header, dek, payload)
	})
	if err != nil {
		return 0, err
	}
	written, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return written.Size(), nil
}

// measure fills an extent's statistics in by asking the child, which has them
// in the Parquet footer.
func (s *session) measure(ctx context.Context, child engine.Child, h *hot, e *catalog.Extent, columns []catalog.Column) error {
	var ranged []catalog.Column
	parts := []string{"count(*)"}
	for _, c := range columns {
		if c.Type.Storage() == "BIGINT" {
			ranged = append(ranged, c)
			parts = append(parts, "min("+c.Physical()+")", "max("+c.Physical()+")")
		}
	}
	row, err := oneRow(ctx, child, engine.Statement{
		SQL:     "SELECT " + strings.Join(parts, ", ") + " FROM read_parquet(['{{extent:" + h.name + "}}'])",
		Extents: []string{h.name},
	})
	if err != nil {
		return fmt.Errorf("measure extent: %w", err)
	}
	if row[0] == nil || *row[0] != e.Stats.Rows {
		return fmt.Errorf("measure extent: it does not hold the %d rows that were written", e.Stats.Rows)
	}
	e.Stats.Ranges = make(map[int]catalog.MinMax)
	for i, c := range ranged {
		low, high := row[1+2*i], row[2+2*i]
		if low != nil && high != nil {
			e.Stats.Ranges[c.ID] = catalog.MinMax{Min: *low, Max: *high}
		}
	}
	return nil
}

// openExtent is an extent's file with the key to it.
type openExtent struct {
	*extent.Reader
	file *os.File
	dek  envelope.DEK
}

func (o *openExtent) close() {
	o.dek.Wipe()
	o.file.Close()
}

// openExtent opens an extent's file and verifies its header.
func (s *session) openExtent(e catalog.Extent) (o *openExtent, err error) {
	in, err := os.Open(s.extentPath(e.DatabaseID, e.ID))
	if err != nil {
		return nil, err
	}
	opened := &openExtent{file: in}
	defer func() { // o is nil when a refusal returns
		if err != nil {
			opened.close()
		}
	}()
	info, err := in.Stat()
	if err != nil {
		return nil, err
	}
	file, err := extent.Open(in, info.Size())
	if err != nil {
		return nil, err
	}
	head := file.Info()
	object := envelope.Object{DatabaseID: e.DatabaseID, Kind: envelope.Extent, ID: e.ID}
	if head.Object() != object {
		return nil, errors.New("the file holds another extent")
	}
	if opened.dek, err = s.ring.UnwrapDEK(object, head.KeyVersion, head.WrappedDEK); err != nil {
		return nil, err
	}
	if opened.Reader, err = file.Reader(opened.dek); err != nil {
		return nil, err
	}
	return opened, nil
}

// decrypt reads an extent's file into a sealed memfd. Every chunk is verified
// before it gets there.
func (s *session) decrypt(ctx context.Context, e catalog.Extent) (*os.File, int64, error) {
	in, err := s.openExtent(e)
	if err != nil {
		return nil, 0, err
	}
	defer in.close()
	out, err := engine.NewMemfd("extent")
	if err != nil {
		return nil, 0, err
	}
	if err = in.CopyTo(ctx, out); err == nil {
		err = engine.Seal(out)
	}
	if err != nil {
		out.Close()
		return nil, 0, err
	}
	return out, in.Size(), nil
}

// removeExtents deletes the files of extents that the catalogue names no more.
// What a crash leaves is collected at the next start.
func (s *session) removeExtents(extents []catalog.Extent) {
	if len(extents) == 0 {
		return
	}
	defer s.cfg.removing()()
	for _, e := range extents {
		s.hot.remove(e.ID)
		s.cache.remove(e.ID)
		if err := os.Remove(s.extentPath(e.DatabaseID, e.ID)); err != nil {
			s.log.Warn("file of a dropped extent cannot be removed", "extent", e.ID, "error", err)
		}
	}
}

// collectOrphans removes what a crash left behind: half-written files, extents
// the catalogue does not name, folders and log segments of dropped databases.
// It runs before anything writes.
func (s *session) collectOrphans(ctx context.Context) error {
	defer s.cfg.removing()()
	known := make(map[string]map[string]bool)
	err := s.store.View(ctx, func(tx store.Tx) error {
		for id := range s.dbs {
			extents, err := s.cat.ExtentIDs(tx, id)
			if err != nil {
				return err
			}
			known[id] = extents
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("collect orphans: %w", err)
	}
	folders, err := os.ReadDir(filepath.Join(s.dir, "extents"))
	if err != nil {
		return fmt.Errorf("collect orphans: %w", err)
	}
	for _, folder := range folders {
		extents, ok := known[folder.Name()]
		if !ok {
			s.log.Info("removing the extents of a dropped database", "database", folder.Name())
			err = os.RemoveAll(s.extentDir(folder.Name()))
		} else {
			err = s.collectFolder(s.extentDir(folder.Name()), extents)
		}
		if err != nil {
			return fmt.Errorf("collect orphans: %w", err)
		}
	}
	if err := durable.Sweep(filepath.Join(s.dir, "wal")); err != nil {
		return fmt.Errorf("collect orphans: %w", err)
	}
	return nil
}

func (s *session) collectFolder(dir string, known map[string]bool) error {
	if err := durable.Sweep(dir); err != nil {
		return err
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	orphans := slices.DeleteFunc(files, func(f fs.DirEntry) bool {
		id, isExtent := strings.CutSuffix(f.Name(), extentSuffix)
		return !isExtent || known[id]
	})
	for _, f := range orphans {
		s.log.Info("removing an extent that was never committed", "extent", f.Name())
		if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
			return err
		}
	}
	return nil
}
