// Package denial_test proves that a suspended cluster leaves nothing behind:
// it reads the memory of a running server, which needs root.
package denial_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/test/harness"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

const patience = time.Minute

// needle stands in every row; the test never sends it in a query. It is short,
// so that what a register held of a row is found too.
const needle = "zqxjvk"

// After a suspension the engine child is gone, and the server's memory holds no
// key of the cluster in any encoding, and no row. The keys to look for are found
// afterwards, out of the stopped folder.
func TestMemoryAfterSuspension(t *testing.T) {
	needRoot(t)
	memoryAfterSuspension(t, harness.Properties{})
}

// The same of a doubly encrypted cluster: the layer key and the DEKs of the
// second layer are gone as well, though the platform's KEK stays.
func TestMemoryAfterSuspensionOfTwoLayers(t *testing.T) {
	needRoot(t)
	memoryAfterSuspension(t, harness.Properties{"enableDoubleEncryption": true})
}

func memoryAfterSuspension(t *testing.T, properties harness.Properties) {
	inst := harness.New(t, "--key-probe-interval", "200ms")
	c := harness.Start(t, inst)
	uri, principal := harness.ClusterWith(t, c, "denial1", "db", properties)
	enableKey(t, c, principal)
	use(t, c, uri, "db", needle)
	stop(t, inst) // makes an extent
	c = harness.Start(t, inst)
	until(t, c, uri, "db", true)
	use(t, c, uri, "db", needle)
	must(t, inst.Kill()) // leaves rows in the log
	c = harness.Start(t, inst)
	until(t, c, uri, "db", true)
	use(t, c, uri, "db", needle)
	busy := make(chan error, 1)
	go func() { busy <- longQuery(t, c, uri, "db") }()

	before := memory(t, c.Conn.PID)
	key(t, c, "k", false)
	until(t, c, uri, "db", false)
	awaitNoChild(t, c.Conn.PID)
	awaitLog(t, inst.Root, "memory is overwritten")
	after := memory(t, c.Conn.PID)
	if err := <-busy; err == nil {
		t.Error("the query that ran was answered")
	}
	frozen := freeze(t, inst)
	key(t, c, "k", true)
	until(t, c, uri, "db", true)
	must(t, c.ARM(t.Context(), http.MethodPatch, clusterPath(c), "2023-08-15", object{"properties": object{"keyVaultProperties": object{}}}, nil))
	stop(t, inst)

	secrets := secretsOf(t, inst, frozen, "")
	t.Logf("%d secrets; memory before %d MiB, rows in it %d times; after %d MiB, %d times", len(secrets),
		len(before)>>20, bytes.Count(before, []byte(needle)), len(after)>>20, bytes.Count(after, []byte(needle)))
	if !bytes.Contains(before, []byte(needle)) || !bytes.Contains(before, secrets["cluster key"]) {
		t.Error("rows and the cluster key are not in memory before the suspension: the search is worth nothing")
	}
	notFound(t, after, secrets)
	noRow(t, after, needle)
}

// freeze copies the extents and log segments that there are under suspension.
func freeze(t *testing.T, inst *client.Instance) (dir string) {
	t.Helper()
	dir = t.TempDir()
	must(t, os.CopyFS(filepath.Join(dir, "clusters"), os.DirFS(filepath.Join(inst.DataDir(), "clusters"))))
	return dir
}

func needRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("reading another process's memory needs root")
	}
}

type object = map[string]any

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func stop(t *testing.T, inst *client.Instance) { t.Helper(); must(t, inst.Stop()) }

func rows(needle string, from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "%d,%s%06d,\n", i, needle, i)
	}
	return b.String()
}

func clusterPath(c *client.Client) string {
	return harness.GroupPath(c) + "/providers/Microsoft.Kusto/clusters/denial1"
}

func enableKey(t *testing.T, c *client.Client, principal string) {
	t.Helper()
	me, err := c.Subject(t.Context())
	must(t, err)
	policy := func(who string, permissions ...string) object {
		return object{"tenantId": c.Conn.TenantID, "objectId": who, "permissions": object{"keys": permissions}}
	}
	must(t, c.ARM(t.Context(), http.MethodPut, harness.GroupPath(c)+"/providers/Microsoft.KeyVault/vaults/kvdenial", "2022-07-01", object{"location": harness.Location, "properties": object{
		"tenantId": c.Conn.TenantID, "sku": object{"family": "A", "name": "standard"}, "enableSoftDelete": true, "enablePurgeProtection": true,
		"accessPolicies": []object{policy(me, "all"), policy(principal, "get", "wrapKey", "unwrapKey")}}}, nil))
	vault(t, c, http.MethodPost, "/keys/k/create", object{"kty": "RSA"})
	must(t, c.ARM(t.Context(), http.MethodPatch, clusterPath(c), "2023-08-15", object{"properties": object{"keyVaultProperties": object{"keyVaultUri": "https://kvdenial.vault.azure.net", "keyName": "k"}}}, nil))
}

func vault(t *testing.T, c *client.Client, method, path string, body any) {
	t.Helper()
	a, err := c.Do(t.Context(), client.Vault, method, "https://kvdenial.vault.azure.net"+path+"?api-version=7.4", body)
	must(t, err)
	must(t, a.Refusal())
}

func key(t *testing.T, c *client.Client, name string, enabled bool) {
	t.Helper()
	vault(t, c, http.MethodPatch, "/keys/"+name, object{"attributes": object{"enabled": enabled}})
}

// use brings rows in and out by every way there is.
func use(t *testing.T, c *client.Client, uri, database, needle string) {
	t.Helper()
	harness.Command(t, c, uri, database,
		".create-merge table T (Id:long, Text:string, More:dynamic)", ".create-merge table U (Text:string, Length:long)",
		`.alter table T policy streamingingestion '{"IsEnabled": true}'`,
		".ingest inline into table T <|\n"+rows(needle, 0, 200))
	must(t, c.Stream(t.Context(), uri, database, "T", "csv", []byte(rows(needle, 200, 1200))))
	var text strings.Builder
	for i := range 300 {
		fmt.Fprintf(&text, `{"Id": %d, "Text": "%sjson%06d", "More": {"a": ["%s%d"]}}`+"\n", i, needle, i, needle, i)
	}
	must(t, c.Stream(t.Context(), uri, database, "T", "multijson", []byte(text.String())))
	if c.Stream(t.Context(), uri, database, "T", "multijson", []byte(text.String()[:2000]+`{"Text": nothing`)) == nil {
		t.Error("half an object was ingested")
	}
	harness.Command(t, c, uri, database,
		".set-or-append U <| T | project Text, Length = strlen(Text)",
		"T | summarize count(), max(strlen(Text))", "T | take 300", "U | top 50 by Text", "T | project More.a[0] | take 20", "T | summarize make_list(Text, 100)",
		"T | extend toint(substring(Text, 6)) | take 10", "print x = toscalar(T | summarize max(Text))")
	for _, path := range []string{"/v1/rest/query", "/v2/rest/query"} {
		a, err := c.Do(t.Context(), client.Kusto, http.MethodPost, uri+path, object{"db": database, "csl": "T | take 500", "properties": object{"Options": object{"results_v2_fragment_primary_tables": true}}})
		must(t, err)
		must(t, a.Refusal())
	}
}

// longQuery sends rows until it is ended.
func longQuery(t *testing.T, c *client.Client, uri, database string) error {
	_, err := c.Query(t.Context(), uri, database, "set notruncation; T | extend k=1 | join kind=inner (range y from 1 to 100000 step 1 | extend k=1) on k | project Text, y, sha = hash_sha256(strcat(Text, y))")
	return err
}

func until(t *testing.T, c *client.Client, uri, database string, answered bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		_, err := c.Query(t.Context(), uri, database, "T | count")
		if (err == nil) == answered {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %s: %v", patience, err)
		}
	}
}

// awaitLog waits until the server says something.
func awaitLog(t *testing.T, root, text string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		log, err := os.ReadFile(filepath.Join(root, "server.log"))
		must(t, err)
		if strings.Contains(string(log), text) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the server never says %q", text)
		}
	}
}
