package kusto

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/envelope"
)

// ownOf is what the runtime holds of a database's own key.
func (w *world) ownOf(name, database string) cluster.DatabaseState {
	w.t.Helper()
	rec, err := w.p.load(w.t.Context(), strings.ToLower(clusterPath(name)))
	if err != nil || rec == nil {
		w.t.Fatal("no cluster", err)
	}
	st, err := w.runtime.DatabaseState(w.t.Context(), rec.ID, database)
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

func (w *world) setOwn(name, database string, change func(st *cluster.DatabaseState)) {
	w.t.Helper()
	rec, err := w.p.load(w.t.Context(), strings.ToLower(clusterPath(name)))
	if err != nil || rec == nil {
		w.t.Fatal("no cluster", err)
	}
	w.runtime.mu.Lock()
	defer w.runtime.mu.Unlock()
	st := w.runtime.clusters[rec.ID].own[database]
	change(&st)
	w.runtime.clusters[rec.ID].own[database] = st
}

// A database gets a key of its own, another, and follows the cluster again; it
// is shown from the version on that knows of it.
func TestDatabaseKeyLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	w.grant("demo1", "vault1", "key1", "v1")
	w.grant("demo1", "vault2", "key2", "v1")
	path := databasePath("demo1", "db1")
	a, _ := w.wait("PUT", path, v20230502, keyBody(testVault, "key1", "v1"))
	if a.Status != 201 {
		t.Fatalf("%d %s %v", a.Status, a.text, a.err)
	}
	shown := func(version string) (key, details any) {
		props := dig(w.must("GET", path, version, "").json, "properties").(map[string]any)
		return props["keyVaultProperties"], props["suspensionDetails"]
	}
	want := map[string]any{"keyName": "key1", "keyVersion": "v1", "keyVaultUri": testVault, "userIdentity": ""}
	if key, details := shown(v20230502); !cmp.Equal(key, any(want)) || details != nil {
		t.Errorf("%v %v", key, details)
	}
	if text := w.must("GET", path, v20221229, "").text; strings.Contains(text, "keyVault") || strings.Contains(text, "suspension") {
		t.Errorf("an old version shows %s", text)
	}
	if st := w.ownOf("demo1", "db1"); !st.Own || st.KEK.KeyName != "key1" || st.KEK.Identity.ObjectID == "" {
		t.Errorf("%+v", st)
	}
	// absent and null change nothing, at any version
	w.must("PATCH", path, v20230815, `{"properties":{"hotCachePeriod":"P1D"}}`)
	w.must("PUT", path, v20190907, `{"properties":{"keyVaultProperties":null}}`)
	w.must("PUT", path, v20190907, `{"properties":{"keyVaultProperties":{"keyName":""}}}`)
	if st := w.ownOf("demo1", "db1"); st.KEK.KeyName != "key1" {
		t.Errorf("%+v", st)
	}
	w.must("PATCH", path, v20240413, keyBody("https://vault2.vault.azure.net", "key2", ""))
	if st := w.ownOf("demo1", "db1"); st.KEK.KeyName != "key2" || st.KEK.KeyVersion != "" {
		t.Errorf("%+v", st)
	}
	// the cluster's key is another matter
	if key := dig(w.get("demo1", v20230815), "properties.keyVaultProperties"); key != nil {
		t.Errorf("cluster: %v", key)
	}
	// the identity in use cannot go
	if a := w.do("PATCH", clusterPath("demo1"), v20230815, `{"identity":{"type":"None"}}`); a.err == nil || a.err.Code != "KeyVaultPropertiesOnlyForSystemAssignedResources" {
		t.Errorf("removal of the identity in use: %v", a.err)
	}
	// a suspended one shows since when, and its key cannot be left
	since := time.Date(2026, 11, 24, 9, 30, 0, 0, time.UTC)
	w.setOwn("demo1", "db1", func(st *cluster.DatabaseState) { st.Suspended, st.Since, st.Code = true, since, "KeyNotFound" })
	if _, details := shown(v20250214); !cmp.Equal(details, any(map[string]any{"suspensionStartDate": "2026-11-24T09:30:00Z"})) {
		t.Errorf("%v", details)
	}
	for name, body := range map[string]string{"another": keyBody(testVault, "key1", "v1"), "off": `{"properties":{"keyVaultProperties":{}}}`} {
		if a := w.do("PATCH", path, v20230815, body); a.err == nil || a.err.Code != "KeyNotFound" || !strings.Contains(a.err.Message, "vault2") {
			t.Errorf("%s: %v", name, a.err)
		}
	}
	w.setOwn("demo1", "db1", func(st *cluster.DatabaseState) { st.Suspended = false })
	w.must("PATCH", path, v20250214, `{"properties":{"keyVaultProperties":{}}}`)
	if key, _ := shown(v20250214); key != nil || w.ownOf("demo1", "db1").Own {
		t.Errorf("off: %v", key)
	}
	w.must("PATCH", clusterPath("demo1"), v20230815, `{"identity":{"type":"None"}}`)
}

// The checks are the cluster's, with its codes; a refusal leaves nothing behind.
func TestDatabaseKeyRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	w.grant("demo1", "vault1", "key1", "v1")
	w.vaultWith("vault2", "key2", "v1") // nobody is let in
	w.must("PUT", clusterPath("demo2"), v20230815, bodyPlain)
	w.must("PUT", databasePath("demo1", "db1"), v20230815, bodyDatabase)
	tests := map[string]struct{ cluster, version, body, code string }{
		"shape":         {"demo1", v20230502, `{"properties":{"keyVaultProperties":{"keyName":"k"}}}`, "InvalidKeyVaultProperties"},
		"old version":   {"demo1", v20221229, keyBody(testVault, "key1", "v1"), "FeatureNotSupported"},
		"no identity":   {"demo2", v20230815, keyBody(testVault, "key1", "v1"), "KeyVaultPropertiesOnlyForSystemAssignedResources"},
		"user identity": {"demo1", v20230815, strings.Replace(keyBody(testVault, "key1", "v1"), `"keyName"`, `"userIdentity":"`+fmt.Sprintf("%s/userAssignedIdentities/u1", testGroup+"/providers/Microsoft.ManagedIdentity")+`","keyName"`, 1), "InvalidKeyVaultProperties"},
		"vault":         {"demo1", v20230815, keyBody("https://none.vault.azure.net", "key1", "v1"), "KeyVaultNotFound"},
		"access":        {"demo1", v20230815, keyBody("https://vault2.vault.azure.net", "key2", "v1"), "IdentityDoesNotHaveAccessToKeyVault"},
		"key":           {"demo1", v20230815, keyBody(testVault, "none", "v1"), "KeyNotFound"},
		"federated":     {"demo1", v20250214, strings.Replace(keyBody(testVault, "key1", "v1"), `"keyName"`, `"federatedIdentityClientId":"c","keyName"`, 1), "InvalidKeyVaultProperties"},
	}
	for name, tt := range tests {
		for _, method := range []string{"PUT", "PATCH"} {
			database := "db1"
			if method == "PUT" {
				database = "new"
			} else if tt.cluster == "demo2" {
				continue
			}
			a := w.do(method, databasePath(tt.cluster, database), tt.version, tt.body)
			if a.err == nil || a.err.Status != 400 && tt.code != "FeatureNotSupported" || a.err.Code != tt.code {
				t.Errorf("%s %s: %v, want %s", method, name, a.err, tt.code)
			}
		}
	}
	if a := w.do("GET", databasePath("demo1", "new"), v20230815, ""); a.err == nil {
		t.Error("a refused database is there")
	}
	if w.ownOf("demo1", "db1").Own {
		t.Error("a refused key is in force")
	}
}

// A refusal inside the operation fails it with the same code, and leaves the
// old key in force, or no database.
func TestDatabaseKeyRefusedInsideTheOperation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	w.grant("demo1", "vault1", "key1", "v1")
	w.grant("demo1", "vault2", "key2", "v1")
	refusal := &envelope.RevokedError{Code: "KeyNotFound", VaultURI: "https://vault2.vault.azure.net", Reason: "gone"}
	w.runtime.fail = map[string]error{"ChangeDatabaseKEK": refusal}
	_, op := w.wait("PUT", databasePath("demo1", "db1"), v20230815, keyBody("https://vault2.vault.azure.net", "key2", "v1"))
	if op.Error == nil || op.Error.Code != "KeyNotFound" || !strings.Contains(op.Error.Message, "vault2") {
		t.Errorf("creation: %+v", op.Error)
	}
	if !cmp.Equal(w.runtime.calls[len(w.runtime.calls)-3:], []string{"CreateDatabase", "ChangeDatabaseKEK", "DeleteDatabase"}) {
		t.Errorf("%v", w.runtime.calls)
	}
	w.must("PUT", databasePath("demo1", "db1"), v20230815, keyBody(testVault, "key1", "v1"))
	w.runtime.fail = map[string]error{"ChangeDatabaseKEK": refusal}
	_, op = w.wait("PATCH", databasePath("demo1", "db1"), v20230815, keyBody("https://vault2.vault.azure.net", "key2", "v1"))
	if op.Error == nil || op.Error.Code != "KeyNotFound" || !strings.Contains(op.Error.Message, "vault2") {
		t.Errorf("change: %+v", op.Error)
	}
	if key := dig(w.must("GET", databasePath("demo1", "db1"), v20230815, "").json, "properties.keyVaultProperties.keyName"); key != "key1" || w.ownOf("demo1", "db1").KEK.KeyName != "key1" {
		t.Errorf("in force: %v", key)
	}
}

// A suspended cluster can be given another identity to the same key; to
// another key it cannot go.
func TestSuspendedClusterTakesAnotherIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	w.grant("demo1", "vault1", "key1", "v1")
	w.grant("demo1", "vault2", "key2", "v1")
	w.must("PATCH", clusterPath("demo1"), v20230815, keyBody(testVault, "key1", "v1"))
	rec, err := w.p.load(t.Context(), strings.ToLower(clusterPath("demo1")))
	if err != nil {
		t.Fatal(err)
	}
	w.runtime.suspend(rec.ID, "IdentityDoesNotHaveAccessToKeyVault", "the identity is gone")
	const user = testGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/user1"
	w.users[strings.ToLower(user)] = ServicePrincipal{ObjectID: "0b0b0b0b-0000-4000-8000-000000000001", ClientID: "0b0b0b0b-0000-4000-8000-000000000002", TenantID: testTenant}
	w.keys.access["https://vault1.vault.azure.net|0b0b0b0b-0000-4000-8000-000000000001"] = true
	w.keys.access["https://vault2.vault.azure.net|0b0b0b0b-0000-4000-8000-000000000001"] = true
	body := func(uri, key string) string {
		return fmt.Sprintf(`{"identity":{"type":"SystemAssigned, UserAssigned","userAssignedIdentities":{%q:{}}},"properties":{"keyVaultProperties":{"keyVaultUri":%q,"keyName":%q,"keyVersion":"v1","userIdentity":%q}}}`, user, uri, key, user)
	}
	if a := w.do("PATCH", clusterPath("demo1"), v20230815, body("https://vault2.vault.azure.net", "key2")); a.err == nil || a.err.Code != "IdentityDoesNotHaveAccessToKeyVault" {
		t.Errorf("to another key: %v", a.err)
	}
	w.must("PATCH", clusterPath("demo1"), v20230815, body(testVault, "key1"))
	if st, err := w.runtime.State(t.Context(), rec.ID); err != nil || st.KEK.Identity.ResourceID == "" {
		t.Errorf("%+v %v", st, err)
	}
}
