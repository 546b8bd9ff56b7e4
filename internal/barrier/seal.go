package barrier

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/durable"
	"github.com/kustos-io/kustos/internal/ids"
)

// Seal wraps the root key of an instance. What Wrap returned must be opened
// by Unwrap of the same seal only; Unwrap must fail with an error that is
// ErrWrongSeal when the blob was wrapped by another.
type Seal interface {
	Wrap(ctx context.Context, key []byte) ([]byte, error)
	Unwrap(ctx context.Context, blob []byte) ([]byte, error)
	// Describe says in a few words what the seal is and where, for people.
	Describe() string
}

// ErrWrongSeal: the keyring was not wrapped by this seal, or was changed.
var ErrWrongSeal = errors.New("the seal does not open this data directory")

// ErrNewerFormat: something on disk was written by a newer version.
var ErrNewerFormat = errors.New("written by a newer version of kustos")

const (
	sealMagic   = "kustos-seal\n"
	sealVersion = 1
	sealSize    = len(sealMagic) + 2 + guidSize + aead.KeySize + sealSumSize
	sealSumSize = 8
	guidSize    = 36
	sealAAD     = "kustos file seal v1\x00"
	blobVersion = 1
)

// FileSeal is a seal kept in a file of mode 0600.
type FileSeal struct {
	path     string
	instance string
	key      aead.Key
}

// CreateFileSeal makes a new seal at path and refuses, with an error that is
// fs.ErrExist, when anything is there. The seal names the instance it is for:
// the last element of path when that is a GUID, else a fresh one. The folder
// is made with mode 0700 when it is missing.
func CreateFileSeal(path string) (*FileSeal, error) {
	instance := strings.ToLower(filepath.Base(path))
	if !ids.IsGUID(instance) {
		instance = ids.NewGUID()
	}
	return CreateFileSealFor(path, instance)
}

// CreateFileSealFor is CreateFileSeal for an instance that there is already:
// its root key is about to be wrapped anew.
func CreateFileSealFor(path, instance string) (*FileSeal, error) {
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make folder of seal file: %w", err)
	}
	var key [aead.KeySize]byte
	_, _ = rand.Read(key[:])
	defer clear(key[:])
	data := append([]byte(sealMagic), 0, sealVersion)
	data = append(data, instance...)
	data = append(data, key[:]...)
	sum := sha256.Sum256(data)
	data = append(data, sum[:sealSumSize]...)
	defer clear(data)
	if err := durable.Create(path, data, 0o600); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("seal file %s exists already and is never overwritten: %w", path, fs.ErrExist)
		}
		return nil, fmt.Errorf("create seal file %s: %w", path, err)
	}
	return newFileSeal(path, instance, key[:])
}

// OpenFileSeal reads the seal at path. A missing file is an error that is
// fs.ErrNotExist and names the path; a file that others may read is refused.
func OpenFileSeal(path string) (*FileSeal, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("seal file %s is missing: without it the data directory cannot be opened: %w", path, fs.ErrNotExist)
	} else if err != nil {
		return nil, fmt.Errorf("open seal file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("seal file %s: %w", path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("seal file %s is not a regular file", path)
	}
	if mode := info.Mode().Perm(); mode&^0o600 != 0 {
		return nil, fmt.Errorf("seal file %s has mode %#o: others can use it; set it to 0600", path, mode)
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(sealSize)+1))
	if err != nil {
		return nil, fmt.Errorf("read seal file %s: %w", path, err)
	}
	defer clear(data)
	return parseFileSeal(path, data)
}

func parseFileSeal(path string, data []byte) (*FileSeal, error) {
	rest, ok := bytes.CutPrefix(data, []byte(sealMagic))
	if !ok || len(rest) < 2 {
		return nil, fmt.Errorf("%s is not a seal file", path)
	}
	if v := binary.BigEndian.Uint16(rest); v > sealVersion {
		return nil, fmt.Errorf("seal file %s has format %d, this binary knows up to %d: %w", path, v, sealVersion, ErrNewerFormat)
	} else if v == 0 {
		return nil, fmt.Errorf("seal file %s has no valid format number", path)
	}
	sum := sha256.Sum256(data[:max(0, len(data)-sealSumSize)])
	if len(data) != sealSize || !bytes.Equal(sum[:sealSumSize], data[sealSize-sealSumSize:]) {
		return nil, fmt.Errorf("seal file %s is damaged", path)
	}
	instance := string(rest[2 : 2+guidSize])
	return newFileSeal(path, instance, rest[2+guidSize:2+guidSize+aead.KeySize])
}

func newFileSeal(path, instance string, key []byte) (*FileSeal, error) {
	k, err := aead.KeyFrom(key)
	if err != nil {
		return nil, err
	}
	return &FileSeal{path: path, instance: instance, key: k}, nil
}

// InstanceID is the GUID of the instance the seal was made for.
func (s *FileSeal) InstanceID() string { return s.instance }

// Describe is "file:" and the path.
func (s *FileSeal) Describe() string { return "file:" + s.path }

// Wrap seals key under the file's key.
func (s *FileSeal) Wrap(_ context.Context, key []byte) ([]byte, error) {
	sealed, err := s.key.Seal([]byte(sealAAD+s.instance), key)
	if err != nil {
		return nil, fmt.Errorf("wrap with %s: %w", s.Describe(), err)
	}
	return append([]byte{blobVersion}, sealed...), nil
}

// Unwrap reverses Wrap.
func (s *FileSeal) Unwrap(_ context.Context, blob []byte) ([]byte, error) {
	if len(blob) == 0 || blob[0] == 0 {
		return nil, fmt.Errorf("unwrap with %s: %w", s.Describe(), ErrWrongSeal)
	}
	if blob[0] > blobVersion {
		return nil, fmt.Errorf("root key has wrap format %d, this binary knows up to %d: %w", blob[0], blobVersion, ErrNewerFormat)
	}
	key, err := s.key.Open([]byte(sealAAD+s.instance), blob[1:])
	if errors.Is(err, aead.ErrAuthentication) {
		return nil, fmt.Errorf("unwrap with %s: %w", s.Describe(), ErrWrongSeal)
	} else if err != nil {
		return nil, fmt.Errorf("unwrap with %s: %w", s.Describe(), err)
	}
	return key, nil
}

// Close wipes the seal's key.
func (s *FileSeal) Close() { s.key.Wipe() }
