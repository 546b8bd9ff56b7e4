package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
)

// power is a current that can fail at a write: before or after a commit of the
// store, or in the middle of a write of a data file. What the disk held at that
// moment is copied aside; what the process does afterwards counts no more.
type power struct {
	mu    sync.RWMutex // for reading by whoever changes the disk; for writing by the copy
	left  int          // writes until the failure; 0 when none is due
	lock  sync.Mutex
	where string // of the failure; "" as long as there was none
	take  func()
}

// reached counts a write and reports whether the current fails at it.
func (p *power) reached(what string) bool {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.left == 0 {
		return false
	}
	p.left--
	if p.left == 0 {
		p.where = what
	}
	return p.left == 0
}

func (p *power) fail() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.take()
}

// Writer implements durable.Hook.
func (p *power) Writer(path string, w io.Writer) io.Writer { return poweredFile{p, path, w} }

type poweredFile struct {
	p     *power
	path  string
	inner io.Writer
}

func (f poweredFile) Write(b []byte) (n int, err error) {
	write := func(part []byte) {
		f.p.mu.RLock()
		defer f.p.mu.RUnlock()
		if err == nil {
			var m int
			m, err = f.inner.Write(part)
			n += m
		}
	}
	half := len(b)
	torn := f.p.reached("in a write of a " + filepath.Ext(f.path))
	if torn {
		half /= 2
	}
	write(b[:half])
	if torn {
		f.p.fail()
	}
	if half < len(b) {
		write(b[half:])
	}
	return n, err
}

// poweredStore is a store under the same current.
type poweredStore struct {
	store.Store
	p *power
}

func (s poweredStore) Scrub(ctx context.Context) error {
	s.p.mu.RLock()
	defer s.p.mu.RUnlock()
	return store.Scrub(ctx, s.Store)
}

func (s poweredStore) Update(ctx context.Context, fn func(store.Tx) error) error {
	if s.p.reached("before a commit") {
		s.p.fail()
	}
	err := func() error {
		s.p.mu.RLock()
		defer s.p.mu.RUnlock()
		return s.Store.Update(ctx, fn)
	}()
	if s.p.reached("after a commit") {
		s.p.fail()
	}
	return err
}

// copyFolder copies what is there; a file that goes meanwhile was on its way out.
func copyFolder(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || filepath.Ext(path) == ".db-shm" {
			return nil
		} else if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), raw, 0o600)
	})
}

// keys are customers' vaults as they are, by the words of the provider of vaults.
// Wraps differ by key and version: what one wrapped no other unwraps.
type keys struct {
	mu     sync.Mutex
	vaults map[string]*keyVault // by address
	gone   map[string]bool      // identities that were deleted
}

type keyVault struct {
	deleted, closed, silent bool
	refused                 map[string]bool // identities without a permission
	keys                    map[string]*vaultKey
}

type vaultKey struct {
	deleted  bool
	versions int // the newest one
	disabled map[int]bool
}

func newKeys() *keys {
	k := &keys{vaults: map[string]*keyVault{}, gone: map[string]bool{}}
	for _, uri := range []string{vaultA, vaultB, vaultOwn} {
		v := &keyVault{refused: map[string]bool{}, keys: map[string]*vaultKey{}}
		for _, name := range []string{"k", "l"} {
			v.keys[name] = &vaultKey{versions: 1, disabled: map[int]bool{}}
		}
		k.vaults[uri] = v
	}
	return k
}

const (
	vaultA   = "https://a.vault.azure.net"
	vaultB   = "https://b.vault.azure.net"
	vaultOwn = "https://own.vault.azure.net"
)

// change changes how things are.
func (k *keys) change(fn func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	fn()
}

// verdict is what the vault says now about a version of a key, "" for the newest.
func (k *keys) verdict(kek envelope.KEK, version string) (answered int, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v := k.vaults[kek.VaultURI]
	refuse := func(code, why string) error {
		return &envelope.RevokedError{Code: code, VaultURI: kek.VaultURI, Reason: why}
	}
	if v.silent {
		return 0, fmt.Errorf("dial %s: %w", kek.VaultURI, envelope.ErrUnavailable)
	}
	key := v.keys[kek.KeyName]
	switch {
	case k.gone[kek.Identity.ObjectID]:
		return 0, refuse("IdentityDoesNotHaveAccessToKeyVault", "the identity does not exist any more")
	case v.deleted:
		return 0, refuse("KeyVaultNotFound", "the vault does not exist")
	case v.closed:
		return 0, refuse("IdentityDoesNotHaveAccessToKeyVault", "the firewall refuses the cluster")
	case v.refused[kek.Identity.ObjectID]:
		return 0, refuse("IdentityDoesNotHaveAccessToKeyVault", "the identity may not do this")
	case key == nil || key.deleted:
		return 0, refuse("KeyNotFound", "the key does not exist")
	}
	answered = key.versions
	if version != "" {
		if answered, err = strconv.Atoi(version); err != nil {
			return 0, err
		}
	}
	if key.disabled[answered] {
		return 0, refuse("IdentityDoesNotHaveAccessToKeyVault", "the key version is disabled")
	}
	return answered, nil
}

// For implements envelope.KeyWrappers.
func (k *keys) For(_ context.Context, kek envelope.KEK) (envelope.KeyWrapper, error) {
	return keyOf{k, kek}, nil
}

type keyOf struct {
	k   *keys
	kek envelope.KEK
}

func (w keyOf) mask(b []byte, version int) []byte {
	out := slices.Clone(b)
	for i := range out {
		out[i] ^= byte(version) ^ (w.kek.VaultURI + w.kek.KeyName)[i%(len(w.kek.VaultURI)+len(w.kek.KeyName))]
	}
	return out
}

func (w keyOf) Wrap(_ context.Context, key []byte) (envelope.Wrapped, error) {
	version, err := w.k.verdict(w.kek, w.kek.KeyVersion)
	if err != nil {
		return envelope.Wrapped{}, err
	}
	return envelope.Wrapped{KeyVersion: strconv.Itoa(version), Algorithm: "mask", Ciphertext: w.mask(key, version)}, nil
}

func (w keyOf) Unwrap(_ context.Context, wrapped envelope.Wrapped) ([]byte, error) {
	version, err := w.k.verdict(w.kek, wrapped.KeyVersion)
	if err != nil {
		return nil, err
	}
	return w.mask(wrapped.Ciphertext, version), nil
}
