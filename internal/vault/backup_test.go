package vault

import (
	"strings"
	"testing"
)

func TestBackupIsBound(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	f.do("POST", "kv1", "/keys/restore", `{"value":"`+text64([]byte(backupMagic+strings.Repeat("x", 99)))+`"}`).is(t, 400, "BadParameter", "")
	f.must("PUT", "kv1", "/keys/k", `{"key":`+testECJWK+`}`)
	f.must("PUT", "kv1", "/secrets/s", `{"value":"hush-hush"}`)
	blob := bytes64(t, f.must("POST", "kv1", "/keys/k/backup", nil).str("value"))
	secret := bytes64(t, f.must("POST", "kv1", "/secrets/s/backup", nil).str("value"))
	for name, bad := range map[string][]byte{"cut": blob[:len(blob)-7], "empty": {}, "short": []byte("hello"), "a secret's": secret,
		"changed": append(append([]byte{}, blob[:len(blob)/2]...), append([]byte{blob[len(blob)/2] ^ 1}, blob[len(blob)/2+1:]...)...)} {
		a := f.do("POST", "kv1", "/keys/restore", map[string]string{"value": text64(bad)})
		if a.status != 400 {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
	// Another subscription, another geography.
	other := vaultID("kv2")
	other.Subscription = stranger
	in := Input{TenantID: ptr(testTenant), SKU: &SKU{"A", "standard"}, AccessPolicies: &[]AccessPolicy{grant(owner, "all", "all")}}
	if _, _, err := f.Put(t.Context(), Write{ID: other, APIVersion: "2022-07-01", Location: "westeurope", Input: in}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Put(t.Context(), Write{ID: vaultID("kv3"), APIVersion: "2022-07-01", Location: "eastus", Input: in}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Put(t.Context(), Write{ID: vaultID("kv4"), APIVersion: "2022-07-01", Location: "northeurope", Input: in}); err != nil {
		t.Fatal(err)
	}
	body := map[string]string{"value": text64(blob)}
	f.do("POST", "kv2", "/keys/restore", body).is(t, 400, "BadParameter", "")
	f.do("POST", "kv3", "/keys/restore", body).is(t, 400, "BadParameter", "")
	f.must("POST", "kv4", "/keys/restore", body)
	f.must("POST", "kv4", "/secrets/restore", map[string]string{"value": text64(secret)})
	if got := f.must("GET", "kv4", "/secrets/s", nil).str("value"); got != "hush-hush" {
		t.Errorf("restored secret %q", got)
	}
	// Another server.
	g := setup(t)
	g.vault("kv1", nil)
	g.do("POST", "kv1", "/keys/restore", body).is(t, 400, "BadParameter", "")
}

// TestBackupOfManyVersions: 500 past versions and the newest are what a backup holds.
func TestBackupOfManyVersions(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	for range maxBackupVersions + 1 {
		f.must("PUT", "kv1", "/secrets/s", `{"value":"v"}`)
	}
	f.must("POST", "kv1", "/secrets/s/backup", nil)
	f.must("PUT", "kv1", "/secrets/s", `{"value":"v"}`)
	f.do("POST", "kv1", "/secrets/s/backup", nil).is(t, 400, "BadParameter", "")
}
