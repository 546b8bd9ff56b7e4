// Package denial_test proves that a suspended cluster leaves nothing behind:
// it reads the memory of a running server, which needs root.
package denial_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/extent"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
	"github.com/kustos-io/kustos/internal/wal"
	"github.com/kustos-io/kustos/test/harness"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

const patience = time.Minute

// needle stands in every row; the test never sends it in a query.
const needle = "telltale-"

// After a suspension the engine child is gone, and the server's memory holds no
// key of the cluster in any encoding. Of rows, fragments in buffers of
// connections are known to remain; they are counted. The keys to look for are found
// afterwards, out of the stopped folder.
func TestMemoryAfterSuspension(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("reading another process's memory needs root")
	}
	inst := harness.New(t, "--key-probe-interval", "200ms")
	c := harness.Start(t, inst)
	uri, principal := harness.Cluster(t, c, "denial1", "db")
	enableKey(t, c, principal)
	harness.Command(t, c, uri, "db", ".create table T (Id:long, Text:string)", ".ingest inline into table T <|\n"+rows(0, 200))
	stop(t, inst) // makes an extent
	c = harness.Start(t, inst)
	until(t, c, uri, true)
	harness.Command(t, c, uri, "db", ".ingest inline into table T <|\n"+rows(200, 400), "T | summarize count(), max(strlen(Text))", "T | take 300")

	before := memory(t, c.Conn.PID)
	key(t, c, false)
	until(t, c, uri, false)
	awaitNoChild(t, c.Conn.PID)
	after := settled(t, c, inst.Root)
	frozen := t.TempDir() // with the log segments that are open under suspension
	must(t, os.CopyFS(filepath.Join(frozen, "clusters"), os.DirFS(filepath.Join(inst.DataDir(), "clusters"))))
	key(t, c, true)
	until(t, c, uri, true)
	must(t, c.ARM(t.Context(), http.MethodPatch, clusterPath(c), "2023-08-15", object{"properties": object{"keyVaultProperties": object{}}}, nil))
	stop(t, inst)

	secrets := secretsOf(t, inst, frozen)
	found := map[string]int{}
	for name, secret := range secrets {
		for form, text := range forms(secret) {
			if n := bytes.Count(after, text); n > 0 {
				found[name+" as "+form] = n
			}
		}
	}
	rowsBefore, rowsAfter := bytes.Count(before, []byte(needle)), bytes.Count(after, []byte(needle))
	t.Logf("%d secrets; memory before %d MiB, rows in it %d times; after %d MiB, %d times", len(secrets), len(before)>>20, rowsBefore, len(after)>>20, rowsAfter)
	if rowsAfter >= rowsBefore { // docs/threat-model.md says what may remain
		t.Errorf("rows are %d times in memory, before %d times", rowsAfter, rowsBefore)
	}
	if key := secrets["cluster key"]; !bytes.Contains(before, key) {
		t.Error("the cluster key is not in memory before the suspension: the search is worth nothing")
	}
	for what, n := range found {
		t.Errorf("%s is %d times in memory", what, n)
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

func rows(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "%d,%s%06d\n", i, needle, i)
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

func key(t *testing.T, c *client.Client, enabled bool) {
	t.Helper()
	vault(t, c, http.MethodPatch, "/keys/k", object{"attributes": object{"enabled": enabled}})
}

func until(t *testing.T, c *client.Client, uri string, answered bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		_, err := c.Query(t.Context(), uri, "db", "T | count")
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

// settled is the memory once the audit log says that the suspension is complete.
func settled(t *testing.T, c *client.Client, root string) []byte {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		log, err := os.ReadFile(filepath.Join(root, "server.log"))
		must(t, err)
		if strings.Contains(string(log), `"to":"suspended"`) {
			return memory(t, c.Conn.PID)
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the suspension is not complete")
		}
	}
}

func awaitNoChild(t *testing.T, server int) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		children := 0
		stats, err := filepath.Glob("/proc/[0-9]*/stat")
		must(t, err)
		for _, path := range stats {
			data, err := os.ReadFile(path)
			if err != nil {
				continue // it ended meanwhile
			}
			fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
			if fields[1] == fmt.Sprint(server) && fields[0] != "Z" {
				children++
			}
		}
		if children == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the server still has %d children", children)
		}
	}
}

// memory is everything that the process can write to, one region after the other.
func memory(t *testing.T, pid int) []byte {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	must(t, err)
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	must(t, err)
	defer mem.Close()
	var out bytes.Buffer
	page := make([]byte, 4096)
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil || !strings.HasPrefix(rights, "rw") {
			continue
		}
		_, err := io.Copy(&out, io.NewSectionReader(mem, from, to-from))
		if err != nil { // page by page where some cannot be read
			for at := from; at < to; at += int64(len(page)) {
				if n, err := mem.ReadAt(page, at); err == nil {
					out.Write(page[:n])
				}
			}
		}
	}
	return out.Bytes()
}

// forms are the encodings in which a secret may lie about.
func forms(secret []byte) map[string][]byte {
	wide := make([]byte, 0, 2*len(secret))
	for _, b := range secret {
		wide = append(wide, b, 0)
	}
	return map[string][]byte{
		"bytes": secret, "hex": []byte(hex.EncodeToString(secret)), "UTF-16": wide,
		"base64": []byte(base64.RawStdEncoding.EncodeToString(secret)), "base64url": []byte(base64.RawURLEncoding.EncodeToString(secret)),
	}
}

// secretsOf unwraps every key of the stopped folder's cluster, which is under
// the platform's key by now.
func secretsOf(t *testing.T, inst *client.Instance, frozen string) map[string][]byte {
	t.Helper()
	ctx := context.Background()
	seal, err := barrier.OpenFileSeal(inst.SealPath())
	must(t, err)
	b, err := barrier.Open(ctx, inst.DataDir(), seal)
	must(t, err)
	defer b.Close()
	inner, err := sqlstore.Open(ctx, filepath.Join(inst.DataDir(), "state.db"))
	must(t, err)
	s := store.Sealed(inner, b)
	defer s.Close()
	platform, err := envelope.NewPlatform(ctx, s)
	must(t, err)
	clusters, err := os.ReadDir(filepath.Join(inst.DataDir(), "clusters"))
	must(t, err)
	cluster := clusters[0].Name()
	ring, err := envelope.New(envelope.Config{ClusterID: cluster, Store: s, Wrappers: envelope.Wrappers{Platform: platform}})
	must(t, err)
	wrapped, err := ring.Wrapped(ctx)
	must(t, err)
	out := map[string][]byte{}
	out["cluster key"], err = platform.ForCluster(cluster).Unwrap(ctx, wrapped)
	must(t, err)
	must(t, ring.Unlock(ctx))
	must(t, s.View(ctx, func(tx store.Tx) error {
		for e, err := range tx.Scan("envelope.databases", cluster+"/", "") {
			must(t, err)
			var record struct {
				Keys []struct {
					Version int
					Wrapped []byte
				}
			}
			must(t, json.Unmarshal(e.Value, &record))
			for _, k := range record.Keys {
				out[fmt.Sprintf("database key %d", k.Version)] = databaseKey(t, out["cluster key"], cluster, strings.TrimPrefix(e.Key, cluster+"/"), k.Version, k.Wrapped)
			}
		}
		return nil
	}))
	addDEKs(t, frozen, ring, out)
	if len(out) < 3 {
		t.Fatalf("only %d secrets were found", len(out))
	}
	return out
}

// databaseKey opens a wrapped database key as docs/format.md §4.2 says.
func databaseKey(t *testing.T, clusterKey []byte, cluster, database string, version int, wrapped []byte) []byte {
	t.Helper()
	by, err := aead.KeyFrom(clusterKey)
	must(t, err)
	c, err := ids.ParseGUID(cluster)
	must(t, err)
	d, err := ids.ParseGUID(database)
	must(t, err)
	aad := append([]byte("kustos database key v1\x00"), c[:]...)
	aad = binary.BigEndian.AppendUint32(append(aad, d[:]...), uint32(version))
	key, err := by.Open(aad, wrapped[1:])
	must(t, err)
	return key
}

func addDEKs(t *testing.T, dir string, ring *envelope.Keyring, out map[string][]byte) {
	t.Helper()
	add := func(o envelope.Object, version int, wrapped []byte) {
		dek, err := ring.UnwrapDEK(o, version, wrapped)
		must(t, err)
		must(t, dek.Reveal(func(raw []byte) error {
			out[fmt.Sprintf("DEK of %d %s", o.Kind, o.ID)] = bytes.Clone(raw)
			return nil
		}))
	}
	extents, err := filepath.Glob(filepath.Join(dir, "clusters", "*", "extents", "*", "*.kxt"))
	must(t, err)
	for _, path := range extents {
		data, err := os.ReadFile(path)
		must(t, err)
		e, err := extent.Open(bytes.NewReader(data), int64(len(data)))
		must(t, err)
		h := e.Info()
		add(envelope.Object{DatabaseID: h.DatabaseID, Kind: envelope.Extent, ID: h.ExtentID}, h.KeyVersion, h.WrappedDEK)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "clusters", "*", "wal", "*"+wal.Suffix))
	must(t, err)
	for _, path := range segments {
		segment, _, _, err := wal.Outline(path)
		must(t, err)
		add(envelope.Object{DatabaseID: segment.DatabaseID, Kind: envelope.WALSegment, ID: segment.ID}, segment.KeyVersion, segment.WrappedDEK)
	}
}
