package directory

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
)

// storedKeys reads the signing keys as the store has them.
func (f *fixture) storedKeys(t testing.TB) map[string]signingKeyRecord {
	t.Helper()
	out := map[string]signingKeyRecord{}
	err := f.store.View(t.Context(), func(tx store.Tx) error {
		all, err := store.ListJSON[signingKeyRecord](tx, bucketSigningKeys, "")
		for _, r := range all {
			out[r.KeyID] = r
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (f *fixture) publishedKeys(t *testing.T) []string {
	t.Helper()
	_, body, _ := f.do(t, f.LoginHandler(), httptest.NewRequest("GET", "https://login.microsoftonline.com/"+f.TenantID()+"/discovery/v2.0/keys", nil))
	var out []string
	for _, k := range body["keys"].([]any) {
		out = append(out, k.(map[string]any)["kid"].(string))
	}
	return out
}

func kid(t testing.TB, token string) string {
	t.Helper()
	header, _, _ := split(t, token)
	return header["kid"].(string)
}

func TestSigningKeyRotatesByAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := open(t, func(cfg *Config) { cfg.Now = time.Now })
		ctx, stop := context.WithCancel(t.Context())
		go f.Run(ctx)
		first := f.publishedKeys(t)[0]
		time.Sleep(30*24*time.Hour - time.Minute)
		old, _, err := f.sign(principal{ObjectID: "o", AppID: "a", Kind: kindUserAssigned}, vaultAudience, identityTokenLifetime)
		if err != nil {
			t.Fatal(err)
		}
		if kid(t, old.Reveal()) != first {
			t.Fatal("the key changed before its time")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		published := f.publishedKeys(t)
		if len(published) != 2 || published[1] != first || published[0] == first {
			t.Fatalf("published %v, first key %s", published, first)
		}
		if got := kid(t, f.token(t, vaultAudience)); got != published[0] {
			t.Errorf("new tokens are signed by %s", got)
		}
		if r := f.storedKeys(t)[first]; len(r.PKCS8) != 0 || r.Retired.IsZero() {
			t.Error("the retired key still has its private part")
		}
		time.Sleep(23*time.Hour + 50*time.Minute)
		if _, err := f.Verify(ctx, old.Reveal(), vaultAudience); err != nil {
			t.Errorf("a token of the retired key, within its time: %v", err)
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if got := f.publishedKeys(t); len(got) != 1 || got[0] != published[0] {
			t.Errorf("published at the end: %v", got)
		}
		if len(f.storedKeys(t)) != 1 {
			t.Error("the retired key is still stored")
		}
		stop()
		synctest.Wait()
	})
}

// TestSigningKeyRotatesWithoutRun moves the clock alone, as a test of the
// whole server does.
func TestSigningKeyRotatesWithoutRun(t *testing.T) {
	t.Parallel()
	f := open(t, func(cfg *Config) { cfg.SigningKeyAge = time.Hour })
	old := f.token(t, vaultAudience)
	f.clock.advance(59 * time.Minute)
	if kid(t, f.token(t, vaultAudience)) != kid(t, old) {
		t.Error("rotated too early")
	}
	f.clock.advance(time.Minute)
	if kid(t, f.token(t, vaultAudience)) == kid(t, old) {
		t.Error("not rotated")
	}
	if _, err := f.Verify(t.Context(), old, vaultAudience); err != nil {
		t.Errorf("a token of before: %v", err)
	}
}

func TestRotateOnDemand(t *testing.T) {
	t.Parallel()
	f := open(t)
	old := f.token(t, vaultAudience)
	id, err := f.RotateSigningKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if kid(t, f.token(t, vaultAudience)) != id || id == kid(t, old) {
		t.Error("the new key does not sign")
	}
	again, err := Open(t.Context(), Config{Store: f.store, Now: f.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Verify(t.Context(), old, vaultAudience); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if again.keys.Load().signing != id {
		t.Error("another key signs after a restart")
	}
	f.clock.advance(retiredKeyLifetime)
	if err := f.Upkeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := f.storedKeys(t); len(got) != 1 {
		t.Errorf("%d keys stored", len(got))
	}
	if _, err := f.authenticate(old); err == nil {
		t.Error("a deleted key still verifies")
	}
}

// TestRotatedKeyIsGoneFromTheFiles looks for the private part in the files of
// a store that does not seal.
func TestRotatedKeyIsGoneFromTheFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	st, err := sqlstore.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	f := open(t, func(cfg *Config) { cfg.Store = st })
	f.store = st
	needles := map[string][]byte{}
	for id, r := range f.storedKeys(t) {
		text, err := json.Marshal(r.PKCS8)
		if err != nil {
			t.Fatal(err)
		}
		needles[id] = text[450:650] // of the private exponent: before it is the modulus, which the certificate has too
	}
	found := func() (n int) {
		for _, data := range readFiles(t, filepath.Dir(path)) {
			for _, needle := range needles {
				n += bytes.Count(data, needle)
			}
		}
		return n
	}
	if found() == 0 {
		t.Fatal("the search does not find a key that is there")
	}
	if _, err := f.RotateSigningKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A reader may have been in the way of the erasing; upkeep tries again then.
	for range 100 {
		if !f.scrubDue.Load() {
			break
		}
		if err := f.Upkeep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := found(); n != 0 {
		t.Errorf("the retired private key is in the files %d times", n)
	}
}
