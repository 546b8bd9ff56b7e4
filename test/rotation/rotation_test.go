package rotation_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/kustos-io/kustos/internal/cli"
	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/test/harness"
)

var (
	extents   = flag.String("rotation.extents", "10", "numbers of extents, separated by commas; docs/benchmarks.md records 10,1000,10000")
	rotations = flag.Int("rotation.times", 5, "how often the key is rotated for each number")
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

const (
	api  = "2023-08-15"
	name = "rotation1"
	host = "https://kvrotation1.vault.azure.net"
	// apart is how many extents are made before the clock moves on: eight of one
	// day would be merged.
	apart = 7
)

func TestRotationIsFlat(t *testing.T) {
	for text := range strings.SplitSeq(*extents, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(text, func(t *testing.T) { rotate(t, n) })
	}
}

func rotate(t *testing.T, n int) {
	inst := harness.New(t, "--control", "127.0.0.1:0", "--clock", "manual")
	c := harness.Start(t, inst)
	uri, principal := harness.Cluster(t, c, name, "db")
	ctx := t.Context()
	me, err := c.Subject(ctx)
	if err != nil {
		t.Fatal(err)
	}
	policy := func(object string, keys ...string) map[string]any {
		return map[string]any{"tenantId": c.Conn.TenantID, "objectId": object, "permissions": map[string]any{"keys": keys}}
	}
	err = c.ARM(ctx, http.MethodPut, harness.GroupPath(c)+"/providers/Microsoft.KeyVault/vaults/kvrotation1", "2022-07-01", map[string]any{"location": harness.Location, "properties": map[string]any{
		"tenantId": c.Conn.TenantID, "sku": map[string]string{"family": "A", "name": "standard"}, "enableSoftDelete": true, "enablePurgeProtection": true,
		"accessPolicies": []any{policy(me, "create", "get", "list"), policy(principal, "get", "wrapKey", "unwrapKey")}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	change(t, c)
	fill(t, c, uri, n)
	before := files(t, inst.DataDir())
	if len(before) != n {
		t.Fatalf("%d extents lie on the disk, not %d", len(before), n)
	}
	var took []time.Duration
	for range *rotations {
		took = append(took, change(t, c))
	}
	if d := cmp.Diff(before, files(t, inst.DataDir())); d != "" {
		t.Error("a rotation touched data files:", d)
	}
	for table, want := range tables(n) {
		rows, err := c.Query(ctx, uri, "db", table+" | count")
		if err != nil || fmt.Sprint(rows) != fmt.Sprintf("[[%d]]", want) {
			t.Errorf("%s: %v, not %d, %v", table, rows, want, err)
		}
	}
	slices.Sort(took)
	t.Logf("%d extents: rotation %s, median of %d, %s to %s", n, took[len(took)/2].Round(time.Millisecond), len(took), took[0].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
}

// change makes a new version of the key and tells the cluster to use it; the
// time of the latter is returned.
func change(t *testing.T, c *client.Client) time.Duration {
	t.Helper()
	a, err := c.Do(t.Context(), client.Vault, http.MethodPost, host+"/keys/key1/create?api-version=7.4", map[string]string{"kty": "RSA"})
	if err != nil {
		t.Fatal(err)
	}
	var bundle struct{ Key struct{ Kid string } }
	if err := json.Unmarshal(a.Body, &bundle); err != nil || a.Refusal() != nil {
		t.Fatal(err, a.Refusal())
	}
	version := bundle.Key.Kid[strings.LastIndexByte(bundle.Key.Kid, '/')+1:]
	began := time.Now()
	err = c.ARM(t.Context(), http.MethodPatch, harness.GroupPath(c)+"/providers/Microsoft.Kusto/clusters/"+name, api, map[string]any{"properties": map[string]any{
		"keyVaultProperties": map[string]string{"keyVaultUri": host, "keyName": "key1", "keyVersion": version}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

// perTable is the most extents of one table.
const perTable = 1000

func table(i int) string { return fmt.Sprintf("T%d", i/perTable) }

// tables are the tables with their rows.
func tables(n int) map[string]int {
	out := map[string]int{}
	for i := range n {
		out[table(i)]++
	}
	return out
}

// fill makes n extents of one row each.
func fill(t *testing.T, c *client.Client, uri string, n int) {
	t.Helper()
	for name := range tables(n) {
		harness.Command(t, c, uri, "db", ".create table "+name+" (Id:long)")
	}
	for done := 0; done < n; done += apart {
		group, ctx := errgroup.WithContext(t.Context())
		for i := done; i < min(done+apart, n); i++ {
			group.Go(func() error {
				_, err := c.Query(ctx, uri, "db", fmt.Sprintf(".set-or-append %s <| print Id=%d", table(i), i))
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if _, err := cli.Control(context.WithoutCancel(t.Context()), c.Conn, http.MethodPost, "/clock/advance", map[string]string{"by": "25h"}); err != nil {
			t.Fatal(err)
		}
	}
}

// files are the extents' names with their time of change.
func files(t *testing.T, dir string) map[string]time.Time {
	t.Helper()
	found := map[string]time.Time{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".kxt" {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			found[filepath.Base(path)] = info.ModTime()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
