package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/store"
)

// vaultBucket holds the vaults by name in lower case; backupBucket one key. The
// buckets of keys and secrets are those of their shelf.
const (
	vaultBucket  = "vault.vaults"
	backupBucket = "vault.backup"
)

// Verifier checks a bearer token's signature, issuer, times and audience.
type Verifier interface {
	Verify(ctx context.Context, token string, audiences ...string) (authz.Principal, error)
}

// Assignments removes the role assignments at and below a scope in the
// caller's transaction: what is made anew under an old name must not inherit
// the old one's rights.
type Assignments interface {
	RemoveScope(tx store.Tx, scope string) error
}

// Config is what a Service needs. Store, Verifier, Authorizer and Log are required.
type Config struct {
	// Store must seal its values: private keys and secrets are put into it.
	Store      store.Store
	Verifier   Verifier
	Authorizer authz.Authorizer
	// Assignments is told what is deleted; it may be nil only where nobody can
	// make role assignments.
	Assignments Assignments
	// Audit gets every operation and every refusal; nil keeps no record.
	Audit Auditor
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Advanced returns a channel that is closed when Now jumps; nil when it never does.
	Advanced func() <-chan struct{}
	Log      *slog.Logger
	// TenantID stands in the challenge for hosts that name no vault.
	TenantID string

	// Suffix is the DNS suffix of vault hosts; "vault.azure.net" when empty.
	// "https://" + Suffix is the audience of tokens.
	Suffix string
	// LoginURL is the authority without the tenant; "https://login.microsoftonline.com" when empty.
	LoginURL string
	// Trusted reports whether a request's context is that of a connection of our
	// own services. Together with bypass=AzureServices it passes a closed
	// firewall. A cluster's system identity passes without it.
	Trusted func(ctx context.Context) bool
	// Hint is called after a committed change with the name of the vault in
	// lower case. It carries no state: whoever cares looks again. nil for none.
	Hint func(vault string)
}

// Service is the Key Vault service. It is safe for concurrent use.
type Service struct {
	Config
	keys    *keyCache
	records *recordCache
	// generating bounds how many keys are made at the same time: it is the one
	// thing here that costs seconds of processor.
	generating chan struct{}
	routes     []route
	// scrubDue tells that what was purged may still lie in the store's log.
	scrubDue atomic.Bool
}

// New returns a Service; it panics when a required part of Config is missing.
func New(cfg Config) *Service {
	if cfg.Store == nil || cfg.Log == nil {
		panic("BUG: vault.New without a store or a logger")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Suffix == "" {
		cfg.Suffix = "vault.azure.net"
	}
	if cfg.LoginURL == "" {
		cfg.LoginURL = "https://login.microsoftonline.com"
	}
	return &Service{Config: cfg, keys: newKeyCache(keyCacheSize), records: newRecordCache(), generating: make(chan struct{}, max(2, runtime.GOMAXPROCS(0))), routes: routes()}
}

func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Second) }

// URI is the base address of a vault, with the final slash.
func (s *Service) URI(v *Vault) string { return "https://" + v.Host() + "." + s.Suffix + "/" }

func (s *Service) hint(name string) {
	if s.Hint != nil {
		s.Hint(strings.ToLower(name))
	}
}

// lookup reads the record of a name, live or deleted. ok is false when there
// is none, or when its purge date has passed.
func (s *Service) lookup(tx store.Tx, name string) (v Vault, ok bool, err error) {
	v, err = store.GetJSON[Vault](tx, vaultBucket, strings.ToLower(name))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Vault{}, false, nil
	case err != nil:
		return Vault{}, false, fmt.Errorf("read vault %s: %w", name, err)
	case v.Deleted != nil && !s.now().Before(v.Deleted.PurgeAt):
		return v, false, nil
	}
	return v, true, nil
}

// live reads a vault that is not deleted.
func (s *Service) live(tx store.Tx, name string) (Vault, bool, error) {
	v, ok, err := s.lookup(tx, name)
	return v, ok && err == nil && v.Deleted == nil, err
}

func putVault(tx store.Tx, v Vault) error {
	return store.PutJSON(tx, vaultBucket, strings.ToLower(v.Name), v)
}

// unassign removes the role assignments at and below a scope.
func (s *Service) unassign(tx store.Tx, scope string) error {
	if s.Assignments == nil {
		return nil
	}
	return s.Assignments.RemoveScope(tx, scope)
}

// dropVault removes the vault and everything below it.
func (s *Service) dropVault(tx store.Tx, v Vault) error {
	if err := s.unassign(tx, v.ResourceID); err != nil {
		return fmt.Errorf("purge vault %s: %w", v.Name, err)
	}
	for _, sh := range []shelf{shelfOf(areaKeys), shelfOf(areaSecrets)} {
		for _, bucket := range []string{sh.objects, sh.versions, sh.values} {
			if err := dropPrefix(tx, bucket, v.Incarnation+"/"); err != nil {
				return fmt.Errorf("purge vault %s: %w", v.Name, err)
			}
		}
	}
	if err := tx.Delete(vaultBucket, strings.ToLower(v.Name)); err != nil {
		return fmt.Errorf("purge vault %s: %w", v.Name, err)
	}
	return nil
}

// dropPrefix deletes every entry whose key begins with prefix.
func dropPrefix(tx store.Tx, bucket, prefix string) error {
	var keys []string // a bucket may not change while it is scanned
	for e, err := range tx.Scan(bucket, prefix, "") {
		if err != nil {
			return err
		}
		clear(e.Value)
		keys = append(keys, e.Key)
	}
	for _, k := range keys {
		if err := tx.Delete(bucket, k); err != nil {
			return err
		}
	}
	return nil
}
