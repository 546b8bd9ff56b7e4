package barrier

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Info is what anybody can read in a keyring without the seal.
type Info struct {
	Format     int       `json:"format"`
	InstanceID string    `json:"instanceId"`
	WrappedKey []byte    `json:"wrappedRootKey"`
	DataKeys   []DataKey `json:"dataKeys"`
}

// DataKey is one sealed data key.
type DataKey struct {
	ID     uint32 `json:"id"`
	Sealed []byte `json:"sealed"`
}

// Describe reads the keyring file at path; it needs no key.
func Describe(path string) (Info, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Info{}, fmt.Errorf("read keyring: %w", err)
	}
	f, err := parseKeyring(path, data)
	if err != nil {
		return Info{}, err
	}
	info := Info{Format: f.Format, InstanceID: f.Instance, WrappedKey: f.Root}
	for _, k := range f.Keys {
		info.DataKeys = append(info.DataKeys, DataKey(k))
	}
	return info, nil
}

// SealInstance reads from a seal file which instance it is for, and nothing
// else: not the key. ok is false when the file is no seal.
func SealInstance(path string) (instance string, ok bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", false, fmt.Errorf("open seal file: %w", err)
	}
	defer f.Close()
	head := make([]byte, len(sealMagic)+2+guidSize)
	if _, err := io.ReadFull(f, head); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "", false, nil
	} else if err != nil {
		return "", false, fmt.Errorf("read seal file: %w", err)
	}
	if string(head[:len(sealMagic)]) != sealMagic {
		return "", false, nil
	}
	return string(head[len(sealMagic)+2:]), true, nil
}
