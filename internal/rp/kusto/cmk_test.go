package kusto

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/envelope"
)

func rsaKey(version string) KeyFacts {
	return KeyFacts{Version: version, Type: "RSA", Bits: 2048, Enabled: true, CanWrap: true, CanUnwrap: true, RecoveryLevel: "Recoverable"}
}

// vaultWith makes a protected vault with one key.
func (w *world) vaultWith(vault, key, version string) {
	w.vaults[vault] = VaultFacts{TenantID: testTenant, Location: "westeurope", SoftDelete: true, PurgeProtection: true}
	w.keys.facts["https://"+vault+".vault.azure.net/"+key] = rsaKey(version)
}

// grant makes the vault and lets the cluster's system identity in.
func (w *world) grant(cluster, vault, key, version string) {
	w.t.Helper()
	w.vaultWith(vault, key, version)
	id, _ := dig(w.get(cluster, v20230815), "identity.principalId").(string)
	w.keys.access["https://"+vault+".vault.azure.net|"+id] = true
}

func keyBody(uri, key, version string) string {
	return fmt.Sprintf(`{"properties":{"keyVaultProperties":{"keyVaultUri":%q,"keyName":%q,"keyVersion":%q}}}`, uri, key, version)
}

// Each check refuses for its own reason although all later ones would refuse
// too: case n of the table repairs what case n-1 was refused for.
func TestOrderOfKeyChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("PUT", clusterPath("demo1"), v20230815, bodyPlain)
	bad := KeyFacts{Version: "v1", Type: "EC", RecoveryLevel: "Purgeable"}
	const base = "https://vault1.vault.azure.net"
	var id string
	uri := "no address"
	vault := VaultFacts{TenantID: "another", Location: "eastus"}
	w.keys.probe = &envelope.RevokedError{Code: "IdentityDoesNotHaveAccessToKeyVault"}
	invalid := func(n int) string { return fmt.Sprintf("InvalidKeyVaultProperties#%d", n) }
	steps := []struct {
		name, want string
		calls      int // to the vault's data plane
		repair     func()
	}{
		{"address", invalid(1), 0, func() { uri = base + "/" }},
		{"identity", "KeyVaultPropertiesOnlyForSystemAssignedResources", 0, func() {
			w.must("PATCH", clusterPath("demo1"), v20230815, `{"identity":{"type":"SystemAssigned"}}`)
			id, _ = dig(w.get("demo1", v20230815), "identity.principalId").(string)
		}},
		{"vault", "KeyVaultNotFound", 0, func() { w.vaults["vault1"] = vault }},
		{"soft delete", "KeyVaultNotSoftDeleteEnabled", 0, func() { vault.SoftDelete = true; w.vaults["vault1"] = vault }},
		{"purge protection", "KeyVaultNotPurgeProtected", 0, func() { vault.PurgeProtection = true; w.vaults["vault1"] = vault }},
		{"region", invalid(2), 0, func() { vault.Location = "westeurope"; w.vaults["vault1"] = vault }},
		{"tenant", invalid(3), 0, func() { vault.TenantID = testTenant; w.vaults["vault1"] = vault }},
		{"access", "IdentityDoesNotHaveAccessToKeyVault", 1, func() { w.keys.access[base+"|"+id] = true }},
		{"key", "KeyNotFound", 1, func() { w.keys.facts[base+"/key1"] = bad }},
		{"type", invalid(4), 1, func() { bad.Type = "RSA"; w.keys.facts[base+"/key1"] = bad }},
		{"size", invalid(5), 1, func() { bad.Bits = 4096; w.keys.facts[base+"/key1"] = bad }},
		{"disabled", invalid(6), 1, func() { bad.Enabled = true; w.keys.facts[base+"/key1"] = bad }},
		{"operations", invalid(7), 1, func() { bad.CanWrap, bad.CanUnwrap = true, true; w.keys.facts[base+"/key1"] = bad }},
		{"probe", "IdentityDoesNotHaveAccessToKeyVault", 2, func() { w.keys.probe = nil }},
	}
	for _, s := range steps {
		w.keys.calls = nil
		before := w.do("GET", clusterPath("demo1"), v20230815, "").text
		a := w.do("PATCH", clusterPath("demo1"), v20230815, keyBody(uri, "key1", "v1"))
		code, _, _ := strings.Cut(s.want, "#")
		if a.err == nil || a.err.Status != 400 || a.err.Code != code {
			t.Errorf("%s: got %v, want %s", s.name, a.err, code)
		}
		if a.err != nil && strings.Contains(a.err.Message, "KeyVault '") && !strings.Contains(a.err.Message, "KeyVault '"+uri+"'") {
			t.Errorf("%s: the message %q does not print the address as sent", s.name, a.err.Message)
		}
		if len(w.keys.calls) != s.calls {
			t.Errorf("%s: calls to the vault %v, want %d", s.name, w.keys.calls, s.calls)
		}
		if diff := cmp.Diff(before, w.do("GET", clusterPath("demo1"), v20230815, "").text); diff != "" {
			t.Errorf("%s: the refusal left something behind (-before +after)\n%s", s.name, diff)
		}
		s.repair()
	}
	w.must("PATCH", clusterPath("demo1"), v20230815, keyBody(uri, "key1", "v1"))
	if got := dig(w.get("demo1", v20190907), "properties.keyVaultProperties"); !cmp.Equal(got, map[string]any{"keyName": "key1", "keyVersion": "v1", "keyVaultUri": uri}) {
		t.Errorf("in force: %v", got)
	}
}

func TestKeyShapes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.AllowedVaultHosts = []string{"vault.example.test:8443"} })
	w.cluster("demo1")
	w.grant("demo1", "vault1", "key1", "v1")
	id, _ := dig(w.get("demo1", v20230815), "identity.principalId").(string)
	w.keys.access["https://vault.example.test:8443|"+id] = true
	w.keys.facts["https://vault.example.test:8443/key1"] = rsaKey("v1")
	hostile := []string{
		"http://vault1.vault.azure.net/", "https://vault1.vault.azure.net:443/", "https://vault1.vault.azure.net/keys/key1", "https://vault1.vault.azure.net/?x=1",
		"https://vault1.vault.azure.net/?", "https://vault1.vault.azure.net/#x", "https://vault1.vault.azure.net#", "https://me@vault1.vault.azure.net/", "https://a.b.vault.azure.net/", "https://vault.azure.net/",
		"https://vault1.vault.azure.net.evil.test/", "https://localhost/", "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/", "https://vault1.vault.azure.net./",
		"https://evil.test/vault1.vault.azure.net", "https://vault.example.test/", "https://management.azure.com/", "vault1.vault.azure.net", "https:vault1.vault.azure.net", " https://vault1.vault.azure.net/",
		"https://vault1.vault.azure.net\\@evil.test/", "https://1vault.vault.azure.net/", "https://va--ult.vault.azure.net", "https://vault1.managedhsm.azure.net/", "ftp://vault1.vault.azure.net/", "https://vault1%2evault.azure.net/",
	}
	for _, uri := range hostile {
		a := w.do("PATCH", clusterPath("demo1"), v20230815, keyBody(uri, "key1", "v1"))
		if a.err == nil || a.err.Code != "InvalidKeyVaultProperties" || a.err.Message != "The provided KeyVaultProperties are invalid." {
			t.Errorf("%q: %v", uri, a.err)
		}
	}
	bodies := []string{
		`{"keyVaultUri":"` + testVault + `","keyVersion":"v1"}`, `{"keyName":"key1","keyVersion":"v1"}`, `{"keyVaultUri":"` + testVault + `","keyName":"a/b","keyVersion":"v1"}`,
		`{"keyVaultUri":"` + testVault + `","keyName":"key1","keyVersion":"../x"}`, `[]`, `"x"`, `{"keyVaultUri":1,"keyName":"key1"}`,
		`{"keyVaultUri":"` + testVault + `","keyName":"key1","keyVersion":"v1","userIdentity":"me"}`, `{"keyVersion":"v1"}`,
		`{"keyVaultUri":"` + testVault + `","keyName":"key1","keyVersion":"v1","userIdentity":"` + testGroup + `/providers/Microsoft.ManagedIdentity/userAssignedIdentities/none"}`,
	}
	for _, body := range bodies {
		if a := w.do("PATCH", clusterPath("demo1"), v20230815, `{"properties":{"keyVaultProperties":`+body+`}}`); a.err == nil || a.err.Code != "InvalidKeyVaultProperties" {
			t.Errorf("%s: %v", body, a.err)
		}
	}
	if len(w.keys.calls) != 0 {
		t.Errorf("a vault was called: %v", w.keys.calls)
	}
	noVersion := `{"properties":{"keyVaultProperties":{"keyVaultUri":"` + testVault + `","keyName":"key1"}}}`
	if a := w.do("PATCH", clusterPath("demo1"), v20200614, noVersion); a.err == nil || a.err.Code != "InvalidKeyVaultProperties" {
		t.Errorf("absent version at 2020-06-14: %v", a.err)
	}
	w.must("PATCH", clusterPath("demo1"), v20190907, keyBody(testVault, "key1", ""))
	w.must("PATCH", clusterPath("demo1"), v20200918, noVersion)
	if v := dig(w.get("demo1", v20230815), "properties.keyVaultProperties.keyVersion"); v != "" {
		t.Errorf("version shown: %v", v)
	}
	// a misspelt member must not leave the cluster without the key
	w.must("PATCH", clusterPath("demo1"), v20230815, `{"properties":{"KeyVaultProperties":{"keyvaulturi":"https://VAULT1.vault.azure.net","KeyName":"key1","keyVersion":"v1"}}}`)
	if u := dig(w.get("demo1", v20230815), "properties.keyVaultProperties.keyVaultUri"); u != "https://VAULT1.vault.azure.net" {
		t.Errorf("address shown: %v", u)
	}
	w.must("PATCH", clusterPath("demo1"), v20230815, keyBody("https://vault.example.test:8443/", "key1", "v1"))
	for level, code := range map[string]string{"Purgeable": "KeyVaultNotSoftDeleteEnabled", "Recoverable+Purgeable": "KeyVaultNotPurgeProtected", "CustomizedRecoverable+Purgeable": "KeyVaultNotPurgeProtected"} {
		k := rsaKey("v2")
		k.RecoveryLevel = level
		w.keys.facts["https://vault.example.test:8443/key1"] = k
		if a := w.do("PATCH", clusterPath("demo1"), v20230815, keyBody("https://vault.example.test:8443/", "key1", "v2")); a.err == nil || a.err.Code != code {
			t.Errorf("%s: %v", level, a.err)
		}
	}
}

func TestKeyAtCreation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := testGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/one"
	w.users[strings.ToLower(user)] = ServicePrincipal{ObjectID: "o1", ClientID: "c1", TenantID: testTenant}
	w.vaultWith("vault1", "key1", "v1")
	w.keys.access["https://vault1.vault.azure.net|o1"] = true
	body := func(identity, key string) string {
		return `{"location":"westeurope",` + bodySKU + `,"identity":` + identity + `,"properties":{"keyVaultProperties":` + key + `}}`
	}
	system := body(`{"type":"SystemAssigned"}`, `{"keyVaultUri":"`+testVault+`","keyName":"key1","keyVersion":"v1"}`)
	own := body(`{"type":"UserAssigned","userAssignedIdentities":{"`+user+`":{}}}`, `{"keyVaultUri":"`+testVault+`","keyName":"key1","keyVersion":"v1","userIdentity":"`+strings.ToUpper(user)+`"}`)
	for _, c := range [][2]string{{v20190907, system}, {v20250214, system}, {v20200614, own}} {
		a := w.do("PUT", clusterPath("demo1"), c[0], c[1])
		if a.err == nil || a.err.Status != 400 || a.err.Code != "CannotProvideKeyVaultPropertiesDuringCreation" {
			t.Errorf("%s: %v", c[0], a.err)
		}
		if err := w.p.Preflight(t.Context(), w.request("PUT", clusterPath("demo1"), c[0], c[1])); azerr.From(err) == nil || azerr.From(err).Code != "CannotProvideKeyVaultPropertiesDuringCreation" {
			t.Errorf("preflight %s: %v", c[0], err)
		}
	}
	if a := w.do("GET", clusterPath("demo1"), v20230815, ""); a.err == nil || len(w.runtime.calls) != 0 {
		t.Errorf("a refused creation left something: %v", w.runtime.calls)
	}
	a := w.must("PUT", clusterPath("demo1"), v20200918, own)
	if a.Status != 201 || dig(a.json, "properties.keyVaultProperties.keyName") != "key1" {
		t.Errorf("creation under the customer's key: %d %s", a.Status, a.text)
	}
	if diff := cmp.Diff([]string{"Create", "ChangeKEK", "Start"}, w.runtime.calls); diff != "" {
		t.Errorf("the key must be in force before the start (-want +got)\n%s", diff)
	}
	// az sends empty members and gets them back
	a = w.must("PUT", clusterPath("demo2"), v20220201, body(`{"type":"SystemAssigned"}`, `{"keyName":"","keyVersion":"","keyVaultUri":""}`))
	if diff := cmp.Diff(map[string]any{"keyName": "", "keyVersion": "", "keyVaultUri": ""}, dig(a.json, "properties.keyVaultProperties")); diff != "" {
		t.Errorf("empty members (-want +got)\n%s", diff)
	}
	if v := dig(w.get("demo2", v20220201), "properties.keyVaultProperties"); v != nil {
		t.Errorf("then %v", v)
	}
}

func TestKeyLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	w.grant("demo1", "vault1", "key1", "v1")
	path := clusterPath("demo1")
	count := func() int { return strings.Count(strings.Join(w.runtime.calls, " "), "ChangeKEK") }
	w.must("PUT", path, v20190907, `{"location":"westeurope",`+bodySKU+`,"properties":{"keyVaultProperties":{"keyVaultUri":"https://vault1.vault.azure.net","keyName":"key1","keyVersion":"v1"}}}`)
	if count() != 1 {
		t.Fatal(w.runtime.calls)
	}
	// the same template again changes nothing
	if a := w.must("PUT", path, v20190907, `{"location":"westeurope",`+bodySKU+`,"properties":{"keyVaultProperties":{"keyVaultUri":"https://vault1.vault.azure.net","keyName":"key1","keyVersion":"v1"}}}`); a.Status != 200 || a.OperationID != "" {
		t.Errorf("second PUT: %d %s", a.Status, a.OperationID)
	}
	// null and absent keep the key
	w.must("PUT", path, v20240413, `{"location":"westeurope",`+bodySKU+`,"tags":{"a":"b"},"properties":{"keyVaultProperties":null}}`)
	w.must("PATCH", path, v20240413, `{"tags":{"a":"c"}}`)
	if k := dig(w.get("demo1", v20240413), "properties.keyVaultProperties.keyName"); k != "key1" || count() != 1 {
		t.Errorf("null dropped the key: %v %v", k, w.runtime.calls)
	}
	// the address with a slash is the same key, shown as sent last
	w.must("PATCH", path, v20240413, keyBody(testVault, "key1", "v1"))
	if u := dig(w.get("demo1", v20240413), "properties.keyVaultProperties.keyVaultUri"); u != testVault || count() != 1 {
		t.Errorf("address %v %v", u, w.runtime.calls)
	}
	// rotation
	w.keys.facts["https://vault1.vault.azure.net/key1"] = rsaKey("v2")
	w.must("PATCH", path, v20240413, keyBody(testVault, "key1", "v2"))
	if count() != 2 {
		t.Errorf("rotation: %v", w.runtime.calls)
	}
	// a PATCH that repeats a key without version asks for the newest
	w.must("PATCH", path, v20240413, keyBody(testVault, "key1", ""))
	w.must("PATCH", path, v20240413, keyBody(testVault, "key1", ""))
	if count() != 4 {
		t.Errorf("versionless: %v", w.runtime.calls)
	}
	// the identity in use cannot go
	if a := w.do("PATCH", path, v20240413, `{"identity":{"type":"None"}}`); a.err == nil || a.err.Code != "KeyVaultPropertiesOnlyForSystemAssignedResources" {
		t.Errorf("identity in use removed: %v", a.err)
	}
	// off
	w.must("PATCH", path, v20250214, `{"location":"westeurope","properties":{"keyVaultProperties":{}}}`)
	if k := dig(w.get("demo1", v20240413), "properties.keyVaultProperties"); k != nil {
		t.Errorf("still %v", k)
	}
	id := w.clusterID("demo1")
	if st, err := w.runtime.State(t.Context(), id); err != nil || st.KEK.Kind != envelope.KindPlatform {
		t.Errorf("KEK %+v %v", st.KEK, err)
	}
	w.must("PATCH", path, v20250214, `{"identity":{"type":"None"}}`)
}

func (w *world) clusterID(name string) string {
	w.t.Helper()
	rec, err := w.p.load(w.t.Context(), strings.ToLower(clusterPath(name)))
	if err != nil || rec == nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	return rec.ID
}

func TestKeyFacts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 6, 12, 0, 0, 0, time.UTC)
	with := func(change func(*KeyFacts)) KeyFacts { k := rsaKey("v1"); change(&k); return k }
	tests := map[string]struct {
		facts         KeyFacts
		today, of2020 bool
	}{
		"RSA 2048":      {rsaKey("v1"), true, true},
		"RSA 3072":      {with(func(k *KeyFacts) { k.Bits = 3072 }), true, false},
		"RSA 4096":      {with(func(k *KeyFacts) { k.Bits = 4096 }), true, false},
		"RSA 1024":      {with(func(k *KeyFacts) { k.Bits = 1024 }), false, false},
		"RSA 204":       {with(func(k *KeyFacts) { k.Bits = 204 }), false, false},
		"HSM":           {with(func(k *KeyFacts) { k.Type = "RSA-HSM" }), true, false},
		"EC":            {with(func(k *KeyFacts) { k.Type, k.Bits = "EC", 0 }), false, false},
		"oct":           {with(func(k *KeyFacts) { k.Type, k.Bits = "oct-HSM", 0 }), false, false},
		"disabled":      {with(func(k *KeyFacts) { k.Enabled = false }), false, false},
		"not yet":       {with(func(k *KeyFacts) { k.NotBefore = now.Add(time.Second) }), false, false},
		"valid now":     {with(func(k *KeyFacts) { k.NotBefore, k.Expires = now, now.Add(time.Second) }), true, true},
		"expired":       {with(func(k *KeyFacts) { k.Expires = now }), false, false},
		"cannot wrap":   {with(func(k *KeyFacts) { k.CanWrap = false }), false, false},
		"cannot unwrap": {with(func(k *KeyFacts) { k.CanUnwrap = false }), false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &Provider{now: func() time.Time { return now }}
			if err := p.checkFacts(tt.facts); (err == nil) != tt.today {
				t.Errorf("today: %v", err)
			}
			p.rules2020 = true
			if err := p.checkFacts(tt.facts); (err == nil) != tt.of2020 {
				t.Errorf("2020: %v", err)
			}
		})
	}
}

func TestRules2020(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Rules2020 = true })
	w.cluster("demo1")
	w.grant("demo1", "vault1", "key1", "v1")
	user := testGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/one"
	w.users[strings.ToLower(user)] = ServicePrincipal{ObjectID: "o1", ClientID: "c1", TenantID: testTenant}
	if a := w.do("PATCH", clusterPath("demo1"), v20230815, keyBody(testVault, "key1", "")); a.err == nil || a.err.Code != "InvalidKeyVaultProperties" {
		t.Errorf("no version: %v", a.err)
	}
	a := w.do("PATCH", clusterPath("demo1"), v20230815, `{"identity":{"type":"SystemAssigned, UserAssigned","userAssignedIdentities":{"`+user+`":{}}},"properties":{"keyVaultProperties":{"keyVaultUri":"`+testVault+`","keyName":"key1","keyVersion":"v1","userIdentity":"`+user+`"}}}`)
	if a.err == nil || a.err.Code != "KeyVaultPropertiesOnlyForSystemAssignedResources" {
		t.Errorf("user identity: %v", a.err)
	}
	w.must("PATCH", clusterPath("demo1"), v20230815, keyBody(testVault, "key1", "v1"))
}

// The world may change between the answer and the operation: the operation
// fails with the same code, and the old key stays in force.
func TestKeyRefusedInsideTheOperation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	w.grant("demo1", "vault1", "key1", "v1")
	w.must("PATCH", clusterPath("demo1"), v20230815, keyBody(testVault, "key1", "v1"))
	w.keys.facts["https://vault1.vault.azure.net/key1"] = rsaKey("v2")
	for name, err := range map[string]error{
		"runtime":   &envelope.RevokedError{Code: "KeyNotFound", VaultURI: testVault},
		"suspended": &cluster.SuspendedError{Code: "KeyNotFound", VaultURI: testVault},
	} {
		w.runtime.fail = map[string]error{"ChangeKEK": err}
		_, op := w.wait("PATCH", clusterPath("demo1"), v20230815, keyBody(testVault, "key1", "v2"))
		if op.Status != operations.Failed || op.Error.Code != "KeyNotFound" || op.Error.Message != "Key 'key1' was not found in KeyVault '"+testVault+"'" {
			t.Errorf("%s: %s %v", name, op.Status, op.Error)
		}
		g := w.get("demo1", v20230815)
		if dig(g, "properties.keyVaultProperties.keyVersion") != "v1" || dig(g, "properties.state") != "Running" || dig(g, "properties.provisioningState") != "Failed" {
			t.Errorf("%s: %v", name, g["properties"])
		}
		status := w.do("GET", testSub+"/providers/Microsoft.Kusto/locations/westeurope/operationResults/"+op.ID, v20230815, "")
		if dig(status.json, "error.code") != "KeyNotFound" || dig(status.json, "properties.operationState") != "BadInput" || status.Status != 200 {
			t.Errorf("%s: status %s", name, status.text)
		}
	}
}

func TestVaultTroubleIsNoVerdict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	w.grant("demo1", "vault1", "key1", "v1")
	w.keys.broken = fmt.Errorf("dial: %w", envelope.ErrUnavailable)
	if a := w.do("PATCH", clusterPath("demo1"), v20230815, keyBody(testVault, "key1", "v1")); a.err == nil || a.err.Status != 503 || a.err.Header.Get("Retry-After") == "" {
		t.Errorf("got %v", a.err)
	}
}

func TestSuspendedCluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	w.grant("demo1", "vault1", "key1", "v1")
	w.must("PATCH", clusterPath("demo1"), v20230815, keyBody(testVault, "key1", "v1"))
	id := w.clusterID("demo1")
	w.runtime.suspend(id, "KeyNotFound", "key 'key1' in vault "+testVault+" is gone")
	g := w.get("demo1", v20230815)
	if dig(g, "properties.state") != "Stopped" || !strings.Contains(dig(g, "properties.stateReason").(string), "KeyNotFound") ||
		dig(g, "properties.provisioningState") != "Succeeded" || dig(g, "properties.keyVaultProperties.keyVersion") != "v1" {
		t.Errorf("suspended: %v", g["properties"])
	}
	w.grant("demo1", "vault2", "key2", "w1")
	for _, body := range []string{keyBody("https://vault2.vault.azure.net/", "key2", "w1"), `{"properties":{"keyVaultProperties":{}}}`} {
		a := w.do("PATCH", clusterPath("demo1"), v20230815, body)
		if a.err == nil || a.err.Code != "KeyNotFound" || !strings.Contains(a.err.Message, testVault) {
			t.Errorf("change of key while suspended: %v", a.err)
		}
	}
	w.must("PATCH", clusterPath("demo1"), v20230815, `{"tags":{"still":"possible"}}`)
	w.runtime.fail = map[string]error{"Start": &cluster.SuspendedError{Code: "KeyNotFound", VaultURI: testVault, Reason: "gone"}}
	a, op := w.wait("POST", clusterPath("demo1")+"/start", v20230815, "")
	if a.Status != 202 || op.Status != operations.Failed || op.Error.Code != "KeyNotFound" {
		t.Errorf("start while the key is away: %d %s %v", a.Status, op.Status, op.Error)
	}
	w.must("DELETE", clusterPath("demo1"), v20230815, "")
}

func (f *fakeRuntime) suspend(id, code, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clusters[id].state = cluster.State{Phase: cluster.Suspended, Reason: reason, Code: code, KEK: f.clusters[id].state.KEK}
}
