package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

// failing is a store whose write transactions break at the n-th Put or Delete;
// 0 never breaks.
type failing struct {
	store.Store
	at, seen int
}

func (f *failing) Update(ctx context.Context, fn func(store.Tx) error) error {
	return f.Store.Update(ctx, func(tx store.Tx) error { return fn(&failingTx{tx, f}) })
}

type failingTx struct {
	store.Tx
	f *failing
}

func (t *failingTx) step() error {
	t.f.seen++
	if t.f.seen == t.f.at {
		return errors.New("disk full")
	}
	return nil
}

func (t *failingTx) Put(bucket, key string, value []byte) error {
	if err := t.step(); err != nil {
		return err
	}
	return t.Tx.Put(bucket, key, value)
}

func (t *failingTx) Delete(bucket, key string) error {
	if err := t.step(); err != nil {
		return err
	}
	return t.Tx.Delete(bucket, key)
}

// dump is the whole content of a store.
func dump(t *testing.T, s store.Store) string {
	t.Helper()
	var b strings.Builder
	if err := s.View(t.Context(), func(tx store.Tx) error {
		for _, bucket := range []string{vaultBucket, "vault.keys", "vault.keyversions", "vault.keymaterial", "vault.secrets", "vault.secretversions", "vault.secretvalues"} {
			for e, err := range tx.Scan(bucket, "", "") {
				if err != nil {
					return err
				}
				fmt.Fprintf(&b, "%s %s %x\n", bucket, e.Key, e.Value)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestAWriteIsWholeOrNothing breaks every write operation at every one of its
// steps: it must be refused and leave the state as it was.
func TestAWriteIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	broken := &failing{Store: f.store}
	f.Service.Store = broken
	f.vault("kv1", nil)
	f.must("POST", "kv1", "/keys/k/create", `{"kty":"EC"}`)
	f.must("POST", "kv1", "/keys/k/create", `{"kty":"EC"}`)
	f.must("POST", "kv1", "/keys/gone/create", `{"kty":"EC"}`)
	f.must("PUT", "kv1", "/secrets/s", `{"value":"v"}`)
	f.must("POST", "kv1", "/keys/back/create", `{"kty":"EC"}`)
	blob := f.must("POST", "kv1", "/keys/back/backup", nil).str("value")
	f.must("DELETE", "kv1", "/keys/back", nil)
	f.do("DELETE", "kv1", "/deletedkeys/back", nil)
	f.must("DELETE", "kv1", "/keys/gone", nil)
	for _, op := range []subject{
		{"POST", "/keys/new/create", `{"kty":"EC"}`}, {"POST", "/keys/k/create", `{"kty":"EC"}`}, {"PUT", "/keys/imp", `{"key":` + testECJWK + `}`},
		{"POST", "/keys/k/rotate", ""}, {"PATCH", "/keys/k/", `{"tags":{"a":"b"}}`}, {"PUT", "/keys/k/rotationpolicy", `{}`}, {"POST", "/keys/restore", `{"value":"` + blob + `"}`},
		{"PUT", "/secrets/s", `{"value":"w"}`}, {"DELETE", "/secrets/s", ""}, {"POST", "/deletedkeys/gone/recover", ""}, {"DELETE", "/keys/gone", ""}, {"DELETE", "/deletedkeys/gone", ""},
	} {
		before := dump(t, f.store)
		for at := 1; ; at++ {
			broken.at, broken.seen = at, 0
			a := f.do(op.method, "kv1", op.path, op.body)
			if a.status < 300 {
				break // it has fewer steps
			}
			a.is(t, 500, "InternalServerError", "")
			if after := dump(t, f.store); after != before {
				t.Errorf("%s %s broken at step %d left something", op.method, op.path, at)
			}
		}
		broken.at = 0
	}
	before := dump(t, f.store)
	for at := 1; ; at++ {
		broken.at, broken.seen = at, 0
		if _, err := f.Delete(t.Context(), vaultID("kv1"), actor()); err == nil {
			break
		}
		if dump(t, f.store) != before {
			t.Errorf("a delete of the vault broken at step %d left something", at)
		}
	}
	before = dump(t, f.store)
	for at := 1; ; at++ {
		broken.at, broken.seen = at, 0
		if _, err := f.Purge(t.Context(), testSub, "westeurope", "kv1", authz.Principal{}); err == nil {
			break
		}
		if dump(t, f.store) != before {
			t.Errorf("a purge of the vault broken at step %d left something", at)
		}
	}
	if left := dump(t, f.store); left != "" {
		t.Errorf("a purged vault left %s", left)
	}
}

type sealer struct{ key aead.Key }

func (s sealer) Seal(context string, plaintext []byte) ([]byte, error) {
	return s.key.Seal([]byte(context), plaintext)
}

func (s sealer) Open(context string, sealed []byte) ([]byte, error) {
	return s.key.Open([]byte(context), sealed)
}

// TestNothingPrivateUnderTheSeal looks below a sealed store, where the disk
// would be, and into a backup, for private parts in any usual encoding. It also
// shows that a new service over the same store serves the same keys.
func TestNothingPrivateUnderTheSeal(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	disk := memstore.New()
	f := setup(t)
	f.Service.Store = store.Sealed(disk, sealer{aead.NewKey()})
	f.vault("kv1", nil)
	f.must("PUT", "kv1", "/keys/k", map[string]any{"key": jwkText(key)})
	f.must("PUT", "kv1", "/secrets/s", `{"value":"the-secret-value"}`)
	c := f.must("POST", "kv1", "/keys/k/encrypt", `{"alg":"RSA-OAEP","value":"YQ"}`).str("value")
	all := []byte(f.must("POST", "kv1", "/keys/k/backup", nil).text + f.must("POST", "kv1", "/secrets/s/backup", nil).text + f.log.String())
	all = append(all, bytes64(t, f.must("POST", "kv1", "/keys/k/backup", nil).str("value"))...)
	if err := disk.View(t.Context(), func(tx store.Tx) error {
		for _, bucket := range []string{vaultBucket, backupBucket, "vault.keys", "vault.keyversions", "vault.keymaterial", "vault.secrets", "vault.secretversions", "vault.secretvalues"} {
			for e, err := range tx.Scan(bucket, "", "") {
				if err != nil {
					return err
				}
				all = append(append(all, e.Key...), e.Value...)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for name, part := range map[string][]byte{"d": key.D.Bytes(), "p": key.Primes[0].Bytes(), "q": key.Primes[1].Bytes(), "dp": key.Precomputed.Dp.Bytes(), "secret": []byte("the-secret-value")} {
		for _, form := range [][]byte{part, []byte(hex.EncodeToString(part)), []byte(base64.StdEncoding.EncodeToString(part))[:16], []byte(base64.RawURLEncoding.EncodeToString(part))[:16]} {
			if bytes.Contains(all, form) {
				t.Errorf("%s lies in clear", name)
			}
		}
	}
	again := New(Config{Store: f.Service.Store, Verifier: f, Authorizer: f, TenantID: testTenant, Log: slog.New(slog.DiscardHandler), Now: f.Now})
	f.handler = again.Handler()
	if got := f.must("POST", "kv1", "/keys/k/decrypt", `{"alg":"RSA-OAEP","value":"`+c+`"}`).str("value"); got != "YQ" {
		t.Errorf("after a restart: %q", got)
	}
}
