package denial_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/test/harness"
)

const (
	otherNeedle = "wvkfqy"
	ownPath     = "/databases/own"
	ownAPI      = "2023-08-15"
)

// A database whose own key is refused leaves no key, gate or row of its own in
// the server or in the engine child that goes on, while the others answer.
func TestMemoryAfterSuspensionOfADatabase(t *testing.T) {
	needRoot(t)
	inst := harness.New(t, "--key-probe-interval", "200ms")
	c := harness.Start(t, inst)
	uri, principal := harness.Cluster(t, c, "denial1", "db")
	enableKey(t, c, principal)
	vault(t, c, http.MethodPost, "/keys/own/create", object{"kty": "RSA"})
	own := object{"location": harness.Location, "kind": "ReadWrite", "properties": object{"keyVaultProperties": object{"keyVaultUri": "https://kvdenial.vault.azure.net", "keyName": "own"}}}
	must(t, c.ARM(t.Context(), http.MethodPut, clusterPath(c)+ownPath, ownAPI, own, nil))
	use(t, c, uri, "own", needle)
	use(t, c, uri, "db", otherNeedle)
	stop(t, inst) // makes extents
	id, wrapped := gateOf(t, inst)
	c = harness.Start(t, inst)
	until(t, c, uri, "own", true)
	gate := unwrap(t, c, wrapped)
	use(t, c, uri, "db", otherNeedle)
	use(t, c, uri, "own", needle)

	before := memory(t, c.Conn.PID)
	key(t, c, "own", false)
	begin := time.Now()
	until(t, c, uri, "own", false)
	t.Logf("the database is denied %v after the vault's answer", time.Since(begin).Round(time.Millisecond))
	awaitLog(t, inst.Root, "memory is overwritten")
	until(t, c, uri, "db", true)
	after := memory(t, c.Conn.PID)
	child := children(t, c.Conn.PID)
	if len(child) != 1 {
		t.Fatalf("the server has %d children", len(child))
	}
	engine := memory(t, child[0])
	frozen := freeze(t, inst)
	key(t, c, "own", true)
	begin = time.Now()
	until(t, c, uri, "own", true)
	t.Logf("it is restored %v after the vault's answer", time.Since(begin).Round(time.Millisecond))
	off := object{"kind": "ReadWrite", "properties": object{"keyVaultProperties": object{}}}
	must(t, c.ARM(t.Context(), http.MethodPatch, clusterPath(c)+ownPath, ownAPI, off, nil))
	must(t, c.ARM(t.Context(), http.MethodPatch, clusterPath(c), ownAPI, object{"properties": object{"keyVaultProperties": object{}}}, nil))
	stop(t, inst)

	secrets := secretsOf(t, inst, frozen, id)
	secrets["gate"] = gate
	t.Logf("%d secrets; memory before %d MiB, rows in it %d times; after %d MiB, %d times, in the child %d times", len(secrets),
		len(before)>>20, bytes.Count(before, []byte(needle)), len(after)>>20, bytes.Count(after, []byte(needle)), bytes.Count(engine, []byte(needle)))
	if !bytes.Contains(before, []byte(needle)) || !bytes.Contains(before, gate) || !bytes.Contains(engine, []byte(otherNeedle)) {
		t.Error("rows and the gate are not in memory before the suspension, or the others' after it: the search is worth nothing")
	}
	for _, m := range [][]byte{after, engine} {
		notFound(t, m, secrets)
		noRow(t, m, needle)
	}
}

// gateOf is the id of the database with a key of its own and its wrapped gate.
func gateOf(t *testing.T, inst *client.Instance) (id string, wrapped []byte) {
	t.Helper()
	s, _, ring, _ := state(t, inst)
	defer s.Close()
	all, err := ring.OwnKEKs(t.Context())
	must(t, err)
	for database, w := range all {
		id, wrapped = database, w.Ciphertext
	}
	if len(all) != 1 {
		t.Fatalf("%d databases have a key of their own", len(all))
	}
	return id, wrapped
}

// unwrap asks the vault, as its owner.
func unwrap(t *testing.T, c *client.Client, wrapped []byte) []byte {
	t.Helper()
	a, err := c.Do(t.Context(), client.Vault, http.MethodPost, "https://kvdenial.vault.azure.net/keys/own//unwrapkey?api-version=7.4",
		object{"alg": "RSA-OAEP-256", "value": base64.RawURLEncoding.EncodeToString(wrapped)})
	must(t, err)
	must(t, a.Refusal())
	var out struct{ Value string }
	must(t, json.Unmarshal(a.Body, &out))
	key, err := base64.RawURLEncoding.DecodeString(out.Value)
	must(t, err)
	return key
}
