package inspect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/extent"
	"github.com/kustos-io/kustos/internal/wal"
)

// Kind is what a file is.
type Kind string

// The kinds.
const (
	Directory Kind = "directory"
	Extent    Kind = "extent"
	WAL       Kind = "wal segment"
	Keyring   Kind = "keyring"
	Seal      Kind = "seal"
	Store     Kind = "store" // SQLite; every value in it is sealed
	Other     Kind = "other"
)

// Report describes one file or a folder. Fields of other kinds are nil. What
// it says is what the file claims: nothing is authenticated without a key.
type Report struct {
	Path  string `json:"path"` // relative to the folder that was asked about
	Kind  Kind   `json:"kind"`
	Bytes int64  `json:"bytes"` // of a folder: of all files below it
	// Error says why a file that should be of this kind cannot be read.
	Error   string        `json:"error,omitempty"`
	Extent  *extent.Info  `json:"extent,omitempty"`
	WAL     *Segment      `json:"walSegment,omitempty"`
	Keyring *barrier.Info `json:"keyring,omitempty"`
	// Instance is the instance a seal is for.
	Instance string   `json:"instanceId,omitempty"`
	Files    []Report `json:"files,omitempty"` // of a folder, in the order of their paths
}

// Segment is a WAL segment and its frames.
type Segment struct {
	wal.Segment
	Frames []wal.Frame `json:"frames"`
	// Rest is how many bytes at the end are no whole frame.
	Rest int64 `json:"restBytes"`
}

// Path describes a file, or a folder with everything below it. A file that is
// damaged is reported, not an error; an unreadable or missing path is.
func Path(path string) (*Report, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	if !info.IsDir() {
		r, err := file(path, info.Size())
		if err != nil {
			return nil, fmt.Errorf("inspect: %w", err)
		}
		return &r, nil
	}
	dir := &Report{Path: path, Kind: Directory}
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		r, err := file(p, info.Size())
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a running server removed it meanwhile
		} else if err != nil {
			return err
		}
		if r.Path, err = filepath.Rel(path, p); err != nil {
			return err
		}
		dir.Bytes += r.Bytes
		dir.Files = append(dir.Files, r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	return dir, nil
}

// file recognises a file by its name or its first bytes and describes it.
func file(path string, size int64) (Report, error) {
	r := Report{Path: path, Bytes: size}
	head, err := firstBytes(path)
	if err != nil {
		return r, err
	}
	switch {
	case strings.HasSuffix(path, ".kxt") || bytes.HasPrefix(head, []byte("KXEXTENT")):
		r.Kind = Extent
		err = r.extent()
	case strings.HasSuffix(path, wal.Suffix) || bytes.HasPrefix(head, []byte("KXWALSEG")):
		r.Kind = WAL
		var s Segment
		if s.Segment, s.Frames, s.Rest, err = wal.Outline(path); err == nil {
			r.WAL = &s
		}
	case filepath.Base(path) == barrier.KeyringName:
		r.Kind = Keyring
		var info barrier.Info
		if info, err = barrier.Describe(path); err == nil {
			r.Keyring = &info
		}
	case bytes.HasPrefix(head, []byte("SQLite format 3\x00")):
		r.Kind = Store
	default:
		r.Kind = Other
		var ok bool
		if r.Instance, ok, err = barrier.SealInstance(path); ok {
			r.Kind = Seal
		}
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return r, err
	}
	if err != nil {
		r.Error = err.Error()
	}
	return r, nil
}

func (r *Report) extent() error {
	f, err := os.Open(r.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	e, err := extent.Open(f, r.Bytes)
	if err != nil {
		return err
	}
	info := e.Info()
	r.Extent = &info
	return nil
}

func firstBytes(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 16)
	n, err := io.ReadFull(f, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:n], err
}

// Print describes path on w, as JSON or for people.
func Print(path string, asJSON bool, w io.Writer) error {
	r, err := Path(path)
	if err != nil {
		return err
	}
	if !asJSON {
		return r.WriteText(w)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}
