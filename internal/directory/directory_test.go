package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

// clock is a time that tests move.
type clock struct{ at time.Time }

func (c *clock) now() time.Time          { return c.at }
func (c *clock) advance(d time.Duration) { c.at = c.at.Add(d) }

// fixture is one open directory over a store in memory.
type fixture struct {
	*Directory
	clock *clock
	store store.Store
	boot  Bootstrap
	log   *strings.Builder
	user  ManagedIdentity // set by tests that speak for one
}

func open(t testing.TB, options ...func(*Config)) *fixture {
	t.Helper()
	f := &fixture{clock: &clock{time.Date(2030, 5, 17, 10, 30, 0, 0, time.UTC)}, store: memstore.New(), log: &strings.Builder{}}
	cfg := Config{Store: f.store, Now: f.clock.now, Log: slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, option := range options {
		option(&cfg)
	}
	d, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.Directory = d
	if f.boot, err = d.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) identity(t testing.TB, name, resourceID string) ManagedIdentity {
	t.Helper()
	var m ManagedIdentity
	err := f.store.Update(t.Context(), func(tx store.Tx) (err error) {
		m, err = f.CreateIdentity(t.Context(), tx, name, resourceID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const (
	clusterID  = "/subscriptions/6f0c2b8e-0000-4000-8000-000000000001/resourceGroups/rg1/providers/Microsoft.Kusto/clusters/c1"
	identityID = "/subscriptions/6f0c2b8e-0000-4000-8000-000000000001/resourceGroups/rg1/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1"
)

func TestBootstrapIsMadeOnce(t *testing.T) {
	t.Parallel()
	f := open(t)
	if f.boot.TenantID != f.TenantID() || f.boot.SubscriptionID != f.SubscriptionID() || len(f.boot.ClientSecret.Reveal()) != 43 {
		t.Errorf("bootstrap %+v", f.boot)
	}
	again, err := Open(t.Context(), Config{Store: f.store, Now: f.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	boot, err := again.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if boot != f.boot {
		t.Error("the second start made another principal")
	}
	token, _, err := f.sign(principal{ObjectID: boot.ObjectID, AppID: boot.ClientID, Kind: kindApplication}, "https://vault.azure.net", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Verify(t.Context(), token.Reveal(), "https://vault.azure.net"); err != nil {
		t.Errorf("a token of before the restart: %v", err)
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	f := open(t)
	secret := f.boot.ClientSecret.Reveal()
	data, err := json.Marshal(f.boot)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{string(data), fmt.Sprintf("%v %+v %#v %s %q %x", f.boot, f.boot, f.boot, f.boot.ClientSecret, f.boot.ClientSecret, f.boot.ClientSecret), f.log.String()}
	hexed := fmt.Sprintf("%x", secret)
	for _, text := range texts {
		if strings.Contains(text, secret) || strings.Contains(text, hexed) {
			t.Errorf("secret printed in %q", text)
		}
	}
	// Only the record of the instance may hold it.
	err = f.store.View(t.Context(), func(tx store.Tx) error {
		for _, bucket := range []string{bucketApplications, bucketAppIDs, bucketPrincipals, bucketClientIDs, bucketSigningKeys} {
			for e, err := range tx.Scan(bucket, "", "") {
				if err != nil {
					return err
				}
				if strings.Contains(string(e.Value), secret) || strings.Contains(e.Key, secret) {
					t.Errorf("%s/%s holds the secret", bucket, e.Key)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestIdentityLife(t *testing.T) {
	t.Parallel()
	f := open(t)
	system := f.identity(t, "c1", clusterID)
	user := f.identity(t, "id1", identityID)
	if system.Secret != "" || user.Secret == "" {
		t.Error("only a user-assigned identity has a secret")
	}
	for _, m := range []ManagedIdentity{system, user} {
		got, err := f.Identity(t.Context(), strings.ToUpper(m.ObjectID))
		if err != nil || got != m {
			t.Errorf("Identity: %v", err)
		}
		if got, err = f.IdentityOf(t.Context(), strings.ToUpper(m.ResourceID)); err != nil || got != m {
			t.Errorf("IdentityOf: %v", err)
		}
		entry, err := f.Lookup(t.Context(), m.ClientID)
		if diff := cmp.Diff(Entry{Type: TypeServicePrincipal, ObjectID: m.ObjectID, AppID: m.ClientID, Name: m.Name, ResourceID: m.ResourceID}, entry); err != nil || diff != "" {
			t.Errorf("Lookup: %v\n%s", err, diff)
		}
	}
	if _, err := f.IdentitySecret(t.Context(), system.ObjectID); !errors.Is(err, ErrNotFound) {
		t.Errorf("secret of a system identity: %v", err)
	}
	if secret, err := f.IdentitySecret(t.Context(), user.ObjectID); err != nil || secret != user.Secret {
		t.Errorf("secret of a user-assigned identity: %v", err)
	}

	token, expires, err := f.IdentityToken(t.Context(), system.ObjectID, "https://vault.azure.net")
	if err != nil {
		t.Fatal(err)
	}
	if want := f.clock.at.Add(24 * time.Hour); !expires.Equal(want) {
		t.Errorf("expires %v, want %v", expires, want)
	}
	p, err := f.Verify(t.Context(), token, "https://vault.azure.net")
	if err != nil {
		t.Fatal(err)
	}
	if p.Identity != clusterID || p.ObjectID != system.ObjectID || p.AppID != system.ClientID || p.FirstParty != "" {
		t.Errorf("principal %+v", p)
	}
	if _, _, err := f.IdentityToken(t.Context(), system.ObjectID, "https://example.com"); !errors.Is(err, ErrUnknownResource) {
		t.Errorf("token for a foreign resource: %v", err)
	}
	if _, _, err := f.IdentityToken(t.Context(), f.boot.ObjectID, "https://vault.azure.net"); !errors.Is(err, ErrNotFound) {
		t.Errorf("identity token of an application: %v", err)
	}

	err = f.store.Update(t.Context(), func(tx store.Tx) error {
		if _, err := f.CreateIdentity(t.Context(), tx, "c1", strings.ToUpper(clusterID)); !errors.Is(err, ErrIdentityExists) {
			t.Errorf("second identity of one resource: %v", err)
		}
		return f.DeleteIdentity(t.Context(), tx, system.ObjectID)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.IdentityToken(t.Context(), system.ObjectID, "https://vault.azure.net"); !errors.Is(err, ErrNotFound) {
		t.Errorf("token of a deleted identity: %v", err)
	}
	if next := f.identity(t, "c1", clusterID); next.ObjectID == system.ObjectID {
		t.Error("a new identity took the old object id")
	}
}

func TestIdentityMoves(t *testing.T) {
	t.Parallel()
	f := open(t)
	m, other := f.identity(t, "c1", clusterID), f.identity(t, "c2", clusterID+"2")
	to := strings.Replace(clusterID, "/resourceGroups/", "/resourceGroups/moved-", 1)
	move := func(objectID, to string) error {
		return f.store.Update(t.Context(), func(tx store.Tx) error { return f.MoveIdentity(t.Context(), tx, objectID, to) })
	}
	if err := move(m.ObjectID, other.ResourceID); !errors.Is(err, ErrIdentityExists) {
		t.Errorf("onto another's resource: %v", err)
	}
	if err := move("11111111-2222-3333-4444-555555555555", to); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown identity: %v", err)
	}
	if err := move(m.ObjectID, "/subscriptions/x"); err == nil {
		t.Error("to something that is no resource")
	}
	if err := move(m.ObjectID, to); err != nil {
		t.Fatal(err)
	}
	want := m
	want.ResourceID = to
	if got, err := f.IdentityOf(t.Context(), to); err != nil || got != want {
		t.Errorf("of its new owner: %+v %v", got, err)
	}
	if _, err := f.IdentityOf(t.Context(), clusterID); !errors.Is(err, ErrNotFound) {
		t.Errorf("of its old owner: %v", err)
	}
	token, _, err := f.IdentityToken(t.Context(), m.ObjectID, "https://vault.azure.net")
	if err != nil {
		t.Fatal(err)
	}
	if p, err := f.Verify(t.Context(), token, "https://vault.azure.net"); err != nil || p.ObjectID != m.ObjectID || p.Identity != to {
		t.Errorf("its token says %+v %v", p, err)
	}
	if next := f.identity(t, "c1", clusterID); next.ObjectID == m.ObjectID {
		t.Error("a new resource under the old id took the identity")
	}
}

func TestIdentityIsPartOfTheCallersTransaction(t *testing.T) {
	t.Parallel()
	f := open(t)
	rolledBack := errors.New("rolled back")
	var m ManagedIdentity
	err := f.store.Update(t.Context(), func(tx store.Tx) (err error) {
		if m, err = f.CreateIdentity(t.Context(), tx, "c1", clusterID); err != nil {
			return err
		}
		return rolledBack
	})
	if !errors.Is(err, rolledBack) {
		t.Fatal(err)
	}
	if _, err := f.Lookup(t.Context(), m.ObjectID); !errors.Is(err, ErrNotFound) {
		t.Errorf("the identity outlived its transaction: %v", err)
	}
}

func TestKnownAudience(t *testing.T) {
	t.Parallel()
	f := open(t)
	for resource, want := range map[string]bool{
		"https://management.azure.com":         true,
		"https://management.azure.com/":        true,
		"https://management.core.windows.net/": true,
		"https://vault.azure.net":              true,
		"https://graph.microsoft.com/":         true,
		"https://kusto.kusto.windows.net":      true,
		"https://vault.azure.net:8443":         true,
		"https://vault.azure.net:8443/":        true,
		"https://vault.azure.net:":             false, "https://vault.azure.net:0": false, "https://vault.azure.net:+1": false, "https://vault.azure.net:70000": false, "https://vault.azure.net:8443/x": false, "https://kv1.vault.azure.net:8443": false, "https://graph.microsoft.com:8443": false,
		"https://c1.westeurope.kusto.windows.net":    true,
		"https://C1.WestEurope.kusto.windows.net/":   true,
		"https://help.kusto.windows.net":             true,
		"00000003-0000-0000-c000-000000000000":       true,
		f.boot.ClientID:                              true,
		"api://" + f.boot.ClientID:                   true,
		f.boot.ObjectID:                              false,
		"":                                           false,
		"/":                                          false,
		"https://kusto.windows.net":                  false,
		"https://a.b.c.kusto.windows.net":            false,
		"https://c1.kusto.windows.net:8443":          false,
		"https://u@c1.kusto.windows.net":             false,
		"https://c1.kusto.windows.net/x":             false,
		"https://.kusto.windows.net":                 false,
		"https://kv1.vault.azure.net":                false,
		"http://vault.azure.net":                     false,
		"https://vault.azure.net//":                  false,
		"https://vault.azure.net.example.com":        false,
		"https://evil.com/.kusto.windows.net":        false,
		"https://management.azure.com@evil.com":      false,
		"11111111-1111-1111-1111-111111111111":       false,
		"api://11111111-1111-1111-1111-111111111111": false,
	} {
		err := f.store.View(context.Background(), func(tx store.Tx) error {
			got, err := knownAudience(tx, resource)
			if got != want {
				t.Errorf("knownAudience(%q) = %v", resource, got)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func readFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, e := range entries {
		if out[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
