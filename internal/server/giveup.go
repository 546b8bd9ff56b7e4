package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/config"
	"github.com/kustos-io/kustos/internal/durable"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wal"
)

// givenUpDir is where files go that were given up.
const givenUpDir = "given-up"

// GiveUp lets the database of a log segment that is lost, or damaged for good, be opened
// without it, of a stopped folder. A file that is there is put aside. Rows that were in
// no extent and in no other segment are lost.
func GiveUp(ctx context.Context, cfg config.Config, segment string, out io.Writer) error {
	id, err := ids.ParseGUID(segment)
	if err != nil {
		return fmt.Errorf("give up: %q is not the id of a log segment", segment)
	}
	segment = ids.FormatGUID(id)
	return stopped(ctx, cfg, func(in *instance) error {
		listed, err := delistSegment(ctx, in.store, segment)
		if err != nil {
			return fmt.Errorf("give up: %w", err)
		}
		aside, err := putAside(in.dir, segment)
		if err != nil {
			return fmt.Errorf("give up: %w", err)
		}
		if !listed && aside == "" {
			return fmt.Errorf("give up: there is no log segment %s", segment)
		}
		what := "it was not there any more"
		if aside != "" {
			what = "its file is " + aside
		}
		_, err = fmt.Fprintf(out, "log segment %s is given up; %s\nIts database opens without it at the next start. Rows that only it had are lost.\n", segment, what)
		return err
	})
}

// delistSegment says in the catalogue that a segment need not be there.
func delistSegment(ctx context.Context, st store.Store, segment string) (listed bool, err error) {
	err = st.Update(ctx, func(tx store.Tx) error {
		key, err := catalog.FindSegment(tx, segment)
		if errors.Is(err, catalog.ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		listed = true
		return catalog.New(key.Cluster, nil, time.Now).GiveUpSegment(tx, key.Database, segment)
	})
	return listed, err
}

// putAside moves a segment's file out of the log, and says where to; "" when there is none.
func putAside(dir, segment string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "clusters", "*", "wal", segment+wal.Suffix))
	if err != nil || len(found) == 0 {
		return "", err
	}
	to := filepath.Join(dir, givenUpDir)
	if err := durable.MkdirAll(to, 0o700); err != nil {
		return "", err
	}
	to = filepath.Join(to, segment+wal.Suffix)
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s is there already", to)
	}
	return to, errors.Join(os.Rename(found[0], to), durable.SyncDir(filepath.Dir(to)), durable.SyncDir(filepath.Dir(found[0])))
}
