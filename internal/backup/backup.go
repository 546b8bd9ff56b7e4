package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/durable"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
)

// Names in a data folder and in a backup.
const (
	stateName    = "state.db"
	manifestName = "backup.json"
)

// leftOut are files that belong to a running server, not to its data.
var leftOut = []string{"lock", durable.RemovalLock, "connection.json", stateName, stateName + "-wal", stateName + "-shm", manifestName}

// Manifest says what a backup holds.
type Manifest struct {
	Format   int       `json:"format"` // 1
	Instance string    `json:"instanceId"`
	Taken    time.Time `json:"taken"`
	Files    []File    `json:"files"`
}

// File is one file of a backup.
type File struct {
	Path   string `json:"path"` // relative to the folder, with slashes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Create copies the data folder dir into to, which must not exist.
//
// Only while it takes the snapshot of the state and links the files beside it,
// it holds the lock that keeps a running server from removing files. So every
// extent the snapshot names, and every log segment with rows that are in none,
// is there. What comes later is copied as far as it is there; a restored
// server takes it for what a crash leaves.
func Create(ctx context.Context, dir, to string, now time.Time) (m Manifest, err error) {
	m = Manifest{Format: 1, Taken: now.UTC()}
	if m.Instance, err = barrier.InstanceID(dir); err != nil {
		return m, fmt.Errorf("backup: %s is not a data folder: %w", dir, err)
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("backup: %s is there already", to)
	}
	stage, lock, err := freeze(ctx, dir)
	if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stage), lock.Close()) }()
	part := to + ".part"
	if err := os.Mkdir(part, 0o700); err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	done := false
	defer func() {
		if !done {
			os.RemoveAll(part)
		}
	}()
	if m.Files, err = copyTree(ctx, stage, part); err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	if err := durable.Create(filepath.Join(part, manifestName), append(text, '\n'), 0o600); err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	if err := errors.Join(os.Rename(part, to), durable.SyncDir(filepath.Dir(to))); err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	done = true
	return m, nil
}

// freeze takes the snapshot of the state and then links everything else, into
// a folder that is locked until lock is closed.
func freeze(ctx context.Context, dir string) (stage string, lock *os.File, err error) {
	release, err := durable.Exclusive(filepath.Join(dir, durable.RemovalLock))
	if err != nil {
		return "", nil, err
	}
	defer release()
	if stage, lock, err = newStage(dir); err != nil {
		return "", nil, err
	}
	if err := fill(ctx, dir, stage); err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(stage), lock.Close())
	}
	return stage, lock, nil
}

func fill(ctx context.Context, dir, stage string) error {
	if err := sqlstore.Snapshot(ctx, filepath.Join(dir, stateName), filepath.Join(stage, stateName)); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a file that was written aside and has its name now
			}
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch {
		case rel == ".":
			return nil
		case d.IsDir() && strings.HasPrefix(rel, staging):
			return fs.SkipDir
		case d.IsDir():
			return os.Mkdir(filepath.Join(stage, rel), 0o700)
		case !d.Type().IsRegular() || slices.Contains(leftOut, rel):
			return nil
		}
		if err := os.Link(path, filepath.Join(stage, rel)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// copyTree copies every file below from, durably, and says what it copied.
func copyTree(ctx context.Context, from, to string) (files []File, err error) {
	err = filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil || rel == "." || rel == manifestName {
			return err
		}
		if d.IsDir() {
			return durable.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		f, err := copyFile(path, filepath.Join(to, rel))
		f.Path = filepath.ToSlash(rel)
		files = append(files, f)
		return err
	})
	return files, err
}

func copyFile(from, to string) (f File, err error) {
	in, err := os.Open(from)
	if err != nil {
		return f, err
	}
	defer in.Close()
	sum := sha256.New()
	err = durable.CreateFrom(to, 0o600, func(w io.Writer) (err error) {
		f.Bytes, err = io.Copy(io.MultiWriter(w, sum), in)
		return err
	})
	f.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return f, err
}

// Restore puts a backup into dir, which must be empty or not exist, and checks
// every file against the manifest first.
func Restore(ctx context.Context, from, dir string) (m Manifest, err error) {
	text, err := os.ReadFile(filepath.Join(from, manifestName))
	if err != nil {
		return m, fmt.Errorf("restore: %s is not a backup: %w", from, err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("restore: %s cannot be read: %w", manifestName, err)
	}
	if m.Format != 1 {
		return m, fmt.Errorf("restore: the backup has format %d, this binary knows 1", m.Format)
	}
	switch entries, err := os.ReadDir(dir); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return m, fmt.Errorf("restore: %w", err)
	case len(entries) > 0:
		return m, fmt.Errorf("restore: %s is not empty", dir)
	}
	part := filepath.Clean(dir) + ".part"
	if err := os.Mkdir(part, 0o700); err != nil {
		return m, fmt.Errorf("restore: %w", err)
	}
	done := false
	defer func() {
		if !done {
			os.RemoveAll(part)
		}
	}()
	files, err := copyTree(ctx, from, part)
	if err != nil {
		return m, fmt.Errorf("restore: %w", err)
	}
	if err := same(m.Files, files); err != nil {
		return m, fmt.Errorf("restore: %w", err)
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("restore: %w", err)
	}
	if err := errors.Join(os.Rename(part, dir), durable.SyncDir(filepath.Dir(filepath.Clean(dir)))); err != nil {
		return m, fmt.Errorf("restore: %w", err)
	}
	done = true
	return m, nil
}

func same(want, got []File) error {
	have := make(map[string]File, len(got))
	for _, f := range got {
		have[f.Path] = f
	}
	for _, f := range want {
		g, ok := have[f.Path]
		switch {
		case !ok:
			return fmt.Errorf("%s is missing from the backup", f.Path)
		case g != f:
			return fmt.Errorf("%s is not what was backed up", f.Path)
		}
		delete(have, f.Path)
	}
	for path := range have {
		return fmt.Errorf("%s does not belong to the backup", path)
	}
	return nil
}
