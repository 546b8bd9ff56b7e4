package vault

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRotation(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	first := f.must("POST", "kv1", "/keys/k/create", `{"kty":"EC","crv":"P-384","key_ops":["verify","sign"],"tags":{"x":"1"}}`)
	if a := f.must("GET", "kv1", "/keys/k/rotationpolicy", nil); len(a.at("lifetimeActions").([]any)) != 1 {
		t.Errorf("default policy: %s", a.text)
	}
	r := f.must("POST", "kv1", "/keys/k/rotate", nil)
	if r.version() == first.version() || r.str("key", "x") == first.str("key", "x") || r.str("key", "crv") != "P-384" || cmp.Diff(first.at("key", "key_ops"), r.at("key", "key_ops")) != "" || r.str("tags", "x") != "1" || r.at("attributes", "exp") != nil {
		t.Errorf("rotated: %s", r.text)
	}
	policy := `{"lifetimeActions":[{"trigger":{"timeAfterCreate":"P90D"},"action":{"type":"rotate"}},{"trigger":{"timeBeforeExpiry":"P30D"},"action":{"type":"NOTIFY"}}],"attributes":{"expiryTime":"P180D"}}`
	set := f.must("PUT", "kv1", "/keys/k/rotationpolicy", policy)
	if got := f.must("GET", "kv1", "/keys/k/rotationpolicy", nil); got.text != set.text || got.str("id") != "https://kv1.vault.azure.net/keys/k/rotationpolicy" || got.str("attributes", "expiryTime") != "P180D" {
		t.Errorf("policy: %s", got.text)
	}
	newest := func() answer { return f.must("GET", "kv1", "/keys/k", nil) }
	sweep := func() {
		t.Helper()
		if err := f.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	f.moved(89 * 24 * time.Hour)
	sweep()
	if newest().version() != r.version() {
		t.Error("rotated too early")
	}
	f.must("PATCH", "kv1", "/keys/k/", `{"attributes":{"enabled":false}}`)
	f.moved(2 * 24 * time.Hour)
	sweep()
	if newest().version() != r.version() {
		t.Error("a disabled key rotated")
	}
	f.must("PATCH", "kv1", "/keys/k/", `{"attributes":{"enabled":true}}`)
	sweep()
	n := newest()
	if n.version() == r.version() || n.at("attributes", "exp") != float64(f.clock.Add(180*24*time.Hour).Unix()) {
		t.Errorf("not rotated: %s", n.text)
	}
	sweep()
	if newest().version() != n.version() {
		t.Error("rotated twice")
	}
	f.must("PUT", "kv1", "/keys/k/rotationpolicy", `{"lifetimeActions":[{"trigger":{"timeBeforeExpiry":"P30D"},"action":{"type":"Notify"}}]}`)
	f.moved(151 * 24 * time.Hour)
	book := &notebook{}
	f.Audit = book
	sweep()
	sweep()
	if diff := cmp.Diff([]string{"keys/nearExpiry allowed vaults/kv1/keys/k by Microsoft.KeyVault | management plane"}, book.take()); diff != "" {
		t.Errorf("audit (-want +got)\n%s", diff)
	}
	if got := strings.Count(f.log.String(), "key is near its expiry"); got != 1 {
		t.Errorf("%d notices", got)
	}
	rot := `{"trigger":{"timeAfterCreate":"P90D"},"action":{"type":"Rotate"}}`
	for _, bad := range []string{`{"lifetimeActions":[` + rot + `,` + rot + `]}`, `{"attributes":{"expiryTime":"P20D"}}`, `{"attributes":{"expiryTime":"P20X"}}`,
		`{"lifetimeActions":[{"trigger":{"timeAfterCreate":"P90D"},"action":{"type":"Notify"}}]}`, `{"lifetimeActions":[{"trigger":{},"action":{"type":"Rotate"}}]}`,
		`{"lifetimeActions":[{"trigger":{"timeAfterCreate":"PT1S"},"action":{"type":"Rotate"}}]}`, `{"lifetimeActions":[{"trigger":{"timeAfterCreate":"P90D"},"action":{"type":"Fly"}}]}`} {
		f.do("PUT", "kv1", "/keys/k/rotationpolicy", bad).is(t, 400, "BadParameter", "")
	}
}
