package durable

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// tempSuffix ends the name of a file that is being written aside.
const tempSuffix = ".tmp"

// Replace puts data under path, replacing what is there. It is durable when it
// returns nil; on error the old content stays.
func Replace(path string, data []byte, mode os.FileMode) error {
	temp, err := writeAside(path, mode, writes(data))
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return SyncDir(filepath.Dir(path))
}

// Create puts data under path and returns an error that is fs.ErrExist when
// something is there already. It is durable when it returns nil.
func Create(path string, data []byte, mode os.FileMode) error {
	return CreateFrom(path, mode, writes(data))
}

// CreateFrom is Create for content that write produces; when write fails
// nothing is left under path.
func CreateFrom(path string, mode os.FileMode, write func(io.Writer) error) error {
	temp, err := writeAside(path, mode, write)
	if err != nil {
		return err
	}
	// link, not rename: only link refuses an existing name
	if err := errors.Join(os.Link(temp, path), os.Remove(temp)); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

func writes(data []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(data); return err }
}

func writeAside(path string, mode os.FileMode, write func(io.Writer) error) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*"+tempSuffix)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	err = write(f)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	return f.Name(), errors.Join(err, f.Close())
}

// Sweep removes what a crash in the middle of a write left in dir. Nothing may
// be writing there.
func Sweep(dir string) error {
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if strings.HasPrefix(n.Name(), ".") && strings.HasSuffix(n.Name(), tempSuffix) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, n.Name())))
		}
	}
	return err
}

// SyncDir makes the names in a folder durable: creations, renames, removals.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}
