package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Replace puts data under path, replacing what is there. It is durable when it
// returns nil; on error the old content stays.
func Replace(path string, data []byte, mode os.FileMode) error {
	temp, err := writeAside(path, data, mode)
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
	temp, err := writeAside(path, data, mode)
	if err != nil {
		return err
	}
	// link, not rename: only link refuses an existing name
	if err := errors.Join(os.Link(temp, path), os.Remove(temp)); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

func writeAside(path string, data []byte, mode os.FileMode) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	return f.Name(), errors.Join(err, f.Close())
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
