package barrier

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kustos-io/kustos/internal/durable"
	"github.com/kustos-io/kustos/internal/ids"
)

// KeyringName is the file in the data directory that holds the wrapped keys.
const KeyringName = "barrier.json"

const (
	keyringFormat = 1
	rootAAD       = "kustos barrier key v1\x00"
)

// keyringFile is the JSON of barrier.json; docs/format.md, "Keyring file".
type keyringFile struct {
	Format   int         `json:"format"`
	Instance string      `json:"instance"`
	Seal     string      `json:"seal,omitempty"` // kind of the seal; absent: file
	Root     []byte      `json:"root"`           // root key, wrapped by the seal
	Keys     []sealedKey `json:"keys"`           // ascending ids; the last seals new values
}

type sealedKey struct {
	ID     uint32 `json:"id"`
	Sealed []byte `json:"sealed"` // sealed by the root key
}

// InstanceID reads the instance's GUID from the keyring in dir, which needs no
// key. A directory without a keyring is an error that is fs.ErrNotExist: the
// instance has not been created.
func InstanceID(dir string) (string, error) {
	f, err := readKeyring(dir)
	if err != nil {
		return "", err
	}
	return f.Instance, nil
}

func readKeyring(dir string) (*keyringFile, error) {
	path := filepath.Join(dir, KeyringName)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("keyring %s is missing: %w", path, fs.ErrNotExist)
	} else if err != nil {
		return nil, fmt.Errorf("read keyring: %w", err)
	}
	return parseKeyring(path, data)
}

func parseKeyring(path string, data []byte) (*keyringFile, error) {
	// the format number first: a newer file need not look like ours
	var probe struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &probe); err != nil {
		return nil, fmt.Errorf("keyring %s is damaged: %w", path, err)
	}
	if probe.Format > keyringFormat {
		return nil, fmt.Errorf("keyring %s has format %d, this binary knows up to %d: %w", path, probe.Format, keyringFormat, ErrNewerFormat)
	}
	var f keyringFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("keyring %s is damaged: %w", path, err)
	}
	if f.Format < 1 || !ids.IsGUID(f.Instance) || len(f.Root) == 0 || len(f.Keys) == 0 {
		return nil, fmt.Errorf("keyring %s is damaged: a required field is missing", path)
	}
	last := uint32(0)
	for _, k := range f.Keys {
		if k.ID <= last {
			return nil, fmt.Errorf("keyring %s is damaged: key ids are not ascending", path)
		}
		last = k.ID
	}
	return &f, nil
}

func (f *keyringFile) encode() []byte {
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		panic("BUG: keyring does not marshal: " + err.Error())
	}
	return append(data, '\n')
}

func (f *keyringFile) create(dir string) error {
	path := filepath.Join(dir, KeyringName)
	err := durable.Create(path, f.encode(), 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keyring %s exists already and is never overwritten: %w", path, fs.ErrExist)
	} else if err != nil {
		return fmt.Errorf("create keyring: %w", err)
	}
	return nil
}

func (f *keyringFile) replace(dir string) error {
	if err := durable.Replace(filepath.Join(dir, KeyringName), f.encode(), 0o600); err != nil {
		return fmt.Errorf("replace keyring: %w", err)
	}
	return nil
}

// dataKeyAAD binds a data key to its instance and number.
func dataKeyAAD(instance string, id uint32) []byte {
	return fmt.Appendf(nil, "%s%s\x00%d", rootAAD, instance, id)
}
