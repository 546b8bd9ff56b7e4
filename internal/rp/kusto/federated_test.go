package kusto

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/envelope"
)

const (
	customersTenant = "0b1f6471-1bf0-4dda-aec3-0000000000b0"
	theirVault      = "https://vaultb.vault.azure.net/"
	testApp         = "aaaaaaaa-0000-4000-8000-00000000000a"
	testUser        = testGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/user1"
	testUserObject  = "0b0b0b0b-0000-4000-8000-000000000001"
)

// abroad is a cluster with both kinds of identity, and a vault of another
// tenant that lets testApp in, which trusts the user-assigned identity.
func abroad(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	w := newWorld(t, change...)
	w.users[strings.ToLower(testUser)] = ServicePrincipal{ObjectID: testUserObject, ClientID: "0b0b0b0b-0000-4000-8000-000000000002", TenantID: testTenant}
	w.must("PUT", clusterPath("demo1"), v20230815, `{"location":"westeurope",`+bodySKU+`,"identity":{"type":"SystemAssigned, UserAssigned","userAssignedIdentities":{"`+testUser+`":{}}}}`)
	w.vaultWith("vaultb", "key1", "v1")
	w.vaults["vaultb"] = VaultFacts{TenantID: strings.ToUpper(customersTenant), Location: "westeurope", SoftDelete: true, PurgeProtection: true}
	w.keys.access["https://vaultb.vault.azure.net|"+testUserObject+" as "+testApp+" in "+customersTenant] = true
	return w
}

// federatedBody is a key body with members in front of keyName.
func federatedBody(uri, version, members string) string {
	return strings.Replace(keyBody(uri, "key1", version), `"keyName"`, members+`"keyName"`, 1)
}

func throughApp(user, app string) string {
	return fmt.Sprintf(`"userIdentity":%q,"federatedIdentityClientId":%q,`, user, app)
}

func TestFederatedKeyRefusals(t *testing.T) {
	t.Parallel()
	w := abroad(t, func(c *Config) { c.AllowedVaultHosts = []string{"vault.example.test"} })
	w.must("PUT", databasePath("demo1", "db1"), v20230815, bodyDatabase)
	const other = "aaaaaaaa-0000-4000-8000-00000000000b"
	tests := map[string]struct {
		version, uri, members, code string
		calls                       int // to a vault
	}{
		"not a GUID":              {v20250214, theirVault, throughApp(testUser, "app"), "InvalidKeyVaultProperties", 0},
		"not a text":              {v20250214, theirVault, `"userIdentity":"` + testUser + `","federatedIdentityClientId":7,`, "InvalidKeyVaultProperties", 0},
		"system identity":         {v20250214, theirVault, throughApp("", testApp), "InvalidKeyVaultProperties", 0},
		"identity not assigned":   {v20250214, theirVault, throughApp(testUser+"2", testApp), "InvalidKeyVaultProperties", 0},
		"vault elsewhere":         {v20250214, "https://vault.example.test/", throughApp(testUser, testApp), "InvalidKeyVaultProperties", 0},
		"no application":          {v20250214, theirVault, throughApp(testUser, ""), "InvalidKeyVaultProperties", 0},
		"version without it":      {v20240413, theirVault, throughApp(testUser, testApp), "InvalidKeyVaultProperties", 0},
		"no vault":                {v20250214, "https://none.vault.azure.net/", throughApp(testUser, testApp), "KeyVaultNotFound", 0},
		"application without way": {v20250214, theirVault, throughApp(testUser, other), "IdentityDoesNotHaveAccessToKeyVault", 1},
	}
	for name, tt := range tests {
		for _, path := range []string{clusterPath("demo1"), databasePath("demo1", "db1")} {
			w.keys.calls = nil
			before := w.do("GET", path, v20250214, "").text
			a := w.do("PATCH", path, tt.version, federatedBody(tt.uri, "v1", tt.members))
			if a.err == nil || a.err.Status != 400 || a.err.Code != tt.code || len(w.keys.calls) != tt.calls {
				t.Errorf("%s of %s: %v, want %s; calls %v", name, path, a.err, tt.code, w.keys.calls)
			}
			if diff := cmp.Diff(before, w.do("GET", path, v20250214, "").text); diff != "" {
				t.Errorf("%s: the refusal left something behind (-before +after)\n%s", name, diff)
			}
		}
	}
	// Protections and region are asked of a vault of another tenant as of any.
	facts := w.vaults["vaultb"]
	for want, change := range map[string]func(*VaultFacts){
		"KeyVaultNotSoftDeleteEnabled": func(v *VaultFacts) { v.SoftDelete = false },
		"KeyVaultNotPurgeProtected":    func(v *VaultFacts) { v.PurgeProtection = false },
		"InvalidKeyVaultProperties":    func(v *VaultFacts) { v.Location = "eastus" },
	} {
		v := facts
		change(&v)
		w.vaults["vaultb"] = v
		if a := w.do("PATCH", clusterPath("demo1"), v20250214, federatedBody(theirVault, "v1", throughApp(testUser, testApp))); a.err == nil || a.err.Code != want {
			t.Errorf("%v, want %s", a.err, want)
		}
	}
	old := abroad(t, func(c *Config) { c.Rules2020 = true })
	if a := old.do("PATCH", clusterPath("demo1"), v20250214, federatedBody(theirVault, "v1", throughApp(testUser, testApp))); a.err == nil || a.err.Code != "KeyVaultPropertiesOnlyForSystemAssignedResources" {
		t.Errorf("by the rules of 2020: %v", a.err)
	}
}

func TestFederatedKey(t *testing.T) {
	t.Parallel()
	w := abroad(t)
	path := clusterPath("demo1")
	w.must("PATCH", path, v20250214, federatedBody(theirVault, "v1", throughApp(testUser, strings.ToUpper(testApp))))
	id := w.clusterID("demo1")
	kek := func() envelope.KEK {
		st, err := w.runtime.State(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return st.KEK
	}
	want := envelope.KEK{Kind: envelope.KindCustomer, VaultURI: theirVault, KeyName: "key1", KeyVersion: "v1", Identity: envelope.Identity{ObjectID: testUserObject,
		ClientID: "0b0b0b0b-0000-4000-8000-000000000002", TenantID: testTenant, ResourceID: testUser, FederatedClientID: testApp, VaultTenantID: customersTenant}}
	if diff := cmp.Diff(want, kek()); diff != "" {
		t.Errorf("in force (-want +got)\n%s", diff)
	}
	shown := map[string]any{"keyVaultUri": theirVault, "keyName": "key1", "keyVersion": "v1", "userIdentity": testUser}
	if diff := cmp.Diff(shown, dig(w.get("demo1", v20240413), "properties.keyVaultProperties")); diff != "" {
		t.Errorf("at 2024-04-13 (-want +got)\n%s", diff)
	}
	shown["federatedIdentityClientId"] = strings.ToUpper(testApp)
	if diff := cmp.Diff(shown, dig(w.get("demo1", v20250214), "properties.keyVaultProperties")); diff != "" {
		t.Errorf("at 2025-02-14 (-want +got)\n%s", diff)
	}

	// What is written back, also by a client that cannot see the application, changes nothing.
	w.keys.calls = nil
	for _, version := range []string{v20250214, v20240413} {
		a := w.do("PUT", path, version, w.do("GET", path, version, "").text)
		if a.err != nil || a.OperationID != "" {
			t.Errorf("written back at %s: %v, operation %q", version, a.err, a.OperationID)
		}
	}
	if len(w.keys.calls) != 0 {
		t.Errorf("calls to the vault %v", w.keys.calls)
	}
	// Such a client may set another version of the key.
	w.keys.facts["https://vaultb.vault.azure.net/key1"] = rsaKey("v2")
	w.must("PATCH", path, v20240413, federatedBody(theirVault, "v2", `"userIdentity":"`+testUser+`",`))
	want.KeyVersion = "v2"
	if diff := cmp.Diff(want, kek()); diff != "" {
		t.Errorf("another version (-want +got)\n%s", diff)
	}

	// A change that fails leaves the old key in force: inside the operation as before it.
	w.grant("demo1", "vault1", "key1", "v1")
	w.keys.access["https://vault1.vault.azure.net|"+testUserObject] = true
	w.runtime.fail = map[string]error{"ChangeKEK": &envelope.RevokedError{Code: "KeyNotFound", VaultURI: testVault, Reason: "gone"}}
	if _, op := w.wait("PATCH", path, v20250214, federatedBody(testVault, "v1", `"userIdentity":"`+testUser+`",`)); op.Status != operations.Failed || op.Error.Code != "KeyNotFound" {
		t.Errorf("%s %v", op.Status, op.Error)
	}
	if diff := cmp.Diff(want, kek()); diff != "" {
		t.Errorf("after a failed change (-want +got)\n%s", diff)
	}
	w.runtime.fail = nil
	// From the application to the identity, to a key of the own tenant, and back.
	w.must("PATCH", path, v20250214, federatedBody(testVault, "v1", `"userIdentity":"`+testUser+`",`))
	if got := kek(); got.VaultURI != testVault || got.Identity.FederatedClientID != "" || got.Identity.VaultTenantID != "" {
		t.Errorf("at home %+v", got)
	}
	if got := dig(w.get("demo1", v20250214), "properties.keyVaultProperties"); cmp.Diff(map[string]any{"keyVaultUri": testVault, "keyName": "key1", "keyVersion": "v1", "userIdentity": testUser}, got) != "" {
		t.Errorf("at home %v", got)
	}
	w.must("PATCH", path, v20250214, federatedBody(theirVault, "v2", throughApp(testUser, testApp)))
	if diff := cmp.Diff(want, kek()); diff != "" {
		t.Errorf("abroad again (-want +got)\n%s", diff)
	}
	// The identity in use cannot be taken away, and the key can be given up.
	if a := w.do("PATCH", path, v20250214, `{"identity":{"type":"SystemAssigned"}}`); a.err == nil || a.err.Code != "InvalidKeyVaultProperties" {
		t.Errorf("identity taken away: %v", a.err)
	}
	w.must("PATCH", path, v20250214, `{"properties":{"keyVaultProperties":{}}}`)
	if kek().Kind != envelope.KindPlatform {
		t.Errorf("given up: %+v", kek())
	}
}

// A suspended cluster may try the same key through an application.
func TestSuspendedClusterTakesAnApplication(t *testing.T) {
	t.Parallel()
	w := abroad(t)
	path := clusterPath("demo1")
	const other = "aaaaaaaa-0000-4000-8000-00000000000b"
	w.keys.access["https://vaultb.vault.azure.net|"+testUserObject+" as "+other+" in "+customersTenant] = true
	w.must("PATCH", path, v20250214, federatedBody(theirVault, "v1", throughApp(testUser, testApp)))
	w.runtime.suspend(w.clusterID("demo1"), "IdentityDoesNotHaveAccessToKeyVault", "the service principal is gone")
	w.keys.facts["https://vaultb.vault.azure.net/key1"] = rsaKey("v2")
	if a := w.do("PATCH", path, v20250214, federatedBody(theirVault, "v2", throughApp(testUser, testApp))); a.err == nil || a.err.Code != "IdentityDoesNotHaveAccessToKeyVault" {
		t.Errorf("another version through the same application: %v", a.err)
	}
	w.must("PATCH", path, v20250214, federatedBody(theirVault, "v2", throughApp(testUser, other)))
}

func TestClusterIsCreatedUnderAFederatedKey(t *testing.T) {
	t.Parallel()
	w := abroad(t)
	body := func(version string) string {
		return `{"location":"westeurope",` + bodySKU + `,"identity":{"type":"UserAssigned","userAssignedIdentities":{"` + testUser + `":{}}},` +
			strings.TrimPrefix(federatedBody(theirVault, version, throughApp(testUser, testApp)), "{")
	}
	if a := w.do("PUT", clusterPath("demo2"), v20250214, body("none")); a.err == nil || a.err.Code != "KeyNotFound" {
		t.Errorf("a key that is not there: %v", a.err)
	}
	w.must("PUT", clusterPath("demo2"), v20250214, body("v1"))
	if got := dig(w.get("demo2", v20250214), "properties.keyVaultProperties.federatedIdentityClientId"); got != testApp {
		t.Errorf("shown %v", got)
	}
}

func TestFederatedKeyOfADatabase(t *testing.T) {
	t.Parallel()
	w := abroad(t)
	path := databasePath("demo1", "db1")
	w.must("PUT", path, v20250214, federatedBody(theirVault, "v1", throughApp(testUser, testApp)))
	if got := w.ownOf("demo1", "db1").KEK.Identity; got.FederatedClientID != testApp || got.VaultTenantID != customersTenant {
		t.Errorf("in force: %+v", got)
	}
	for version, want := range map[string]any{v20250214: testApp, v20240413: nil} {
		if got := dig(w.do("GET", path, version, "").json, "properties.keyVaultProperties.federatedIdentityClientId"); got != want {
			t.Errorf("at %s: %v", version, got)
		}
		if a := w.do("PATCH", path, version, federatedBody(theirVault, "v1", throughApp(testUser, testApp))); a.err != nil || a.OperationID != "" {
			t.Errorf("the same again at %s: %v, operation %q", version, a.err, a.OperationID)
		}
	}
	w.setOwn("demo1", "db1", func(st *cluster.DatabaseState) { st.Suspended, st.Code = true, "IdentityDoesNotHaveAccessToKeyVault" })
	if a := w.do("PATCH", path, v20250214, `{"properties":{"keyVaultProperties":{}}}`); a.err == nil || a.err.Code != "IdentityDoesNotHaveAccessToKeyVault" {
		t.Errorf("given up while it is away: %v", a.err)
	}
}

func TestVaultReaders(t *testing.T) {
	t.Parallel()
	readers := VaultReaders(func() []VaultReader {
		return []VaultReader{fakeVaults{"one": {TenantID: "a"}}, fakeVaults{"two": {TenantID: "b"}, "one": {TenantID: "never"}}}
	})
	var got []string
	for _, name := range []string{"one", "two", "three"} {
		facts, ok, err := readers.VaultByName(t.Context(), name)
		got = append(got, fmt.Sprint(facts.TenantID, " ", ok, " ", err))
	}
	if want := []string{"a true <nil>", "b true <nil>", " false <nil>"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	broken := VaultReaders(func() []VaultReader {
		return []VaultReader{FirstPartyReader{Front: fakeFront(func(*provider.Request) (string, error) { return "", errors.New("disk") })}, fakeVaults{"one": {}}}
	})
	if _, ok, err := broken.VaultByName(t.Context(), "one"); ok || err == nil {
		t.Error("trouble in one tenant was read as absence there")
	}
}
