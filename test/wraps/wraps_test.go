// Package wraps_test looks for superseded wraps in the folder of a running
// server: a key that was taken away from its owner must not open what an old wrap,
// left in some page, still holds.
package wraps_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
	"github.com/kustos-io/kustos/test/harness"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

const (
	api      = "2023-08-15"
	vaultURI = "https://kvwraps.vault.azure.net"
	cluster  = "/providers/Microsoft.Kusto/clusters/wraps"
)

type object = map[string]any

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// After every way in which a wrap is replaced or its owner deleted, nothing of
// the old one is anywhere in the folder or the log: neither the wrap itself in any
// encoding nor the sealed record that held it.
func TestSupersededWrapsAreGone(t *testing.T) {
	inst := harness.New(t)
	c := harness.Start(t, inst)
	f := &folder{t: t, inst: inst, c: c}
	uri, principal := harness.Cluster(t, c, "wraps", "db")
	f.makeVault(principal)
	harness.Command(t, c, uri, "db", ".create table T (Id:long)", ".ingest inline into table T <|\n1\n")
	own := cluster + "/databases/own"
	key := func(name string) object {
		if name == "" {
			return object{"keyVaultProperties": object{}}
		}
		return object{"keyVaultProperties": object{"keyVaultUri": vaultURI, "keyName": name}}
	}
	change := func(name string) func() {
		return func() { f.arm(http.MethodPatch, cluster, object{"properties": key(name)}) }
	}
	changeOwn := func(name string) func() {
		return func() { f.arm(http.MethodPatch, own, object{"kind": "ReadWrite", "properties": key(name)}) }
	}
	f.arm(http.MethodPut, own, object{"location": harness.Location, "kind": "ReadWrite", "properties": object{}})
	harness.Command(t, c, uri, "own", ".create table T (Id:long)", ".ingest inline into table T <|\n1\n")

	for _, step := range []struct {
		name string
		do   func()
		less bool // the record is gone, not replaced
	}{
		{"platform to customer", change("k1"), false},
		{"a new version is followed", f.rotate, false},
		{"another key", change("k2"), false},
		{"a database's first key", changeOwn("k1"), false},
		{"a database's other key", changeOwn("k2"), false},
		{"a database back to the cluster's key", changeOwn(""), false},
		{"a database encrypted anew", f.reencrypt, false},
		{"a database deleted", func() { f.arm(http.MethodDelete, own, nil) }, true},
		{"customer to platform", change(""), false},
		{"a cluster deleted", func() { f.arm(http.MethodDelete, cluster, nil) }, true},
	} {
		t.Run(step.name, func(t *testing.T) {
			f.t = t
			before := f.records()
			step.do()
			f.await(func() bool { return len(f.superseded(before)) > 0 })
			gone := f.superseded(before)
			for at := range gone {
				if _, there := f.records()[at]; there == step.less {
					t.Errorf("record %s: there is %v", at, there)
				}
			}
			f.nowhere(gone)
		})
	}
	f.t = t
	must(t, inst.Stop())
}

// folder is the data folder of a running server.
type folder struct {
	t    *testing.T
	inst *client.Instance
	c    *client.Client
}

func (f *folder) arm(method, path string, body any) {
	f.t.Helper()
	must(f.t, f.c.ARM(f.t.Context(), method, harness.GroupPath(f.c)+path, api, body, nil))
}

func (f *folder) makeVault(principal string) {
	f.t.Helper()
	me, err := f.c.Subject(f.t.Context())
	must(f.t, err)
	policy := func(who string, permissions ...string) object {
		return object{"tenantId": f.c.Conn.TenantID, "objectId": who, "permissions": object{"keys": permissions}}
	}
	must(f.t, f.c.ARM(f.t.Context(), http.MethodPut, harness.GroupPath(f.c)+"/providers/Microsoft.KeyVault/vaults/kvwraps", "2022-07-01", object{"location": harness.Location, "properties": object{
		"tenantId": f.c.Conn.TenantID, "sku": object{"family": "A", "name": "standard"}, "enableSoftDelete": true, "enablePurgeProtection": true,
		"accessPolicies": []object{policy(me, "all"), policy(principal, "get", "wrapKey", "unwrapKey")}}}, nil))
	f.create("k1")
	f.create("k2")
}

func (f *folder) create(key string) {
	f.t.Helper()
	a, err := f.c.Do(f.t.Context(), client.Vault, http.MethodPost, vaultURI+"/keys/"+key+"/create?api-version=7.4", object{"kty": "RSA"})
	must(f.t, err)
	must(f.t, a.Refusal())
}

// rotate makes a version that the cluster follows at the vault's hint.
func (f *folder) rotate() { f.create("k1") }

// reencrypt rewrites the extents of a database under a new key.
func (f *folder) reencrypt() {
	f.t.Helper()
	out, err := exec.Command(f.inst.Binary(), "reencrypt", "--data", f.inst.DataDir(), "--cluster", "wraps", "--database", "own", "--wait").CombinedOutput()
	if err != nil {
		f.t.Fatalf("%v: %s", err, out)
	}
}

// record is one record of the key chain: as it lies in the state, and the wraps in it.
type record struct {
	sealed []byte
	wraps  [][]byte
}

// records reads the key chain out of a copy of the state, as a thief would who
// also has the seal.
func (f *folder) records() map[string]record {
	f.t.Helper()
	ctx := context.Background()
	dir := f.t.TempDir()
	seal, err := barrier.OpenFileSeal(f.inst.SealPath())
	must(f.t, err)
	b, err := barrier.Open(ctx, f.inst.DataDir(), seal)
	must(f.t, err)
	defer b.Close()
	copied := filepath.Join(dir, "state.db")
	must(f.t, sqlstore.Snapshot(ctx, filepath.Join(f.inst.DataDir(), "state.db"), copied))
	out := map[string]record{}
	problems, err := sqlstore.Check(ctx, copied, func(bucket, key string, sealed []byte) error {
		if bucket != "envelope.clusters" && bucket != "envelope.databases" {
			return nil
		}
		plain, err := b.Open(bucket+"\x00"+key, sealed)
		if err != nil {
			return err
		}
		var wraps struct {
			Wrapped, KEK struct{ Ciphertext []byte }
			Keys         []struct{ Wrapped []byte }
		}
		if err := json.Unmarshal(plain, &wraps); err != nil {
			return err
		}
		r := record{sealed: bytes.Clone(sealed)}
		for _, w := range [][]byte{wraps.Wrapped.Ciphertext, wraps.KEK.Ciphertext} {
			if len(w) > 0 {
				r.wraps = append(r.wraps, w)
			}
		}
		for _, k := range wraps.Keys {
			r.wraps = append(r.wraps, k.Wrapped)
		}
		out[bucket+"/"+key] = r
		return nil
	})
	must(f.t, err)
	if len(problems) > 0 {
		f.t.Fatal(problems)
	}
	return out
}

// superseded are the records that are not as they were.
func (f *folder) superseded(before map[string]record) map[string]record {
	f.t.Helper()
	out := map[string]record{}
	now := f.records()
	for at, old := range before {
		if !bytes.Equal(old.sealed, now[at].sealed) {
			var wraps [][]byte
			for _, w := range old.wraps { // a wrap may stand in the new record as well
				if !contains(now[at].wraps, w) {
					wraps = append(wraps, w)
				}
			}
			out[at] = record{old.sealed, wraps}
		}
	}
	return out
}

func contains(list [][]byte, one []byte) bool {
	for _, b := range list {
		if bytes.Equal(b, one) {
			return true
		}
	}
	return false
}

// await polls: a version is followed a moment after it was made, and a log is
// truncated as soon as no reader holds it.
func (f *folder) await(seen func() bool) {
	f.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); !seen(); {
		select {
		case <-tick.C:
		case <-deadline:
			f.t.Fatal("it does not happen")
		}
	}
}

// piece is how many bytes of a wrap give it away: a quarter of a wrapped key.
const piece = 16

// needles are the pieces to look for, in every encoding that a key goes through.
func needles(gone map[string]record) map[string][]byte {
	out := map[string][]byte{}
	add := func(name string, b []byte) {
		for _, at := range []int{0, (len(b) - piece) / 2, len(b) - piece} {
			part := b[at : at+piece]
			out[fmt.Sprintf("%s, bytes from %d", name, at)] = part
			out[fmt.Sprintf("%s, hex from %d", name, at)] = []byte(hex.EncodeToString(part))
		}
		for i, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := e.EncodeToString(b)
			for shift := range 3 { // what stands before may end anywhere in a group of three
				moved := e.EncodeToString(append(make([]byte, shift), b...))
				out[fmt.Sprintf("%s, base64 %d moved by %d", name, i, shift)] = []byte(moved[4:min(len(moved)-3, 4+len(text)/2)])
			}
		}
	}
	for at, r := range gone {
		// The first bytes of a sealed value, its version and key, are those of every other.
		add("sealed "+at, r.sealed[5:])
		for i, w := range r.wraps {
			add(fmt.Sprintf("wrap %d of %s", i, at), w)
		}
	}
	return out
}

// nowhere fails the test when a needle is in any file of the folder or in the
// server's log, once nobody reads the state any more.
func (f *folder) nowhere(gone map[string]record) {
	f.t.Helper()
	looked := needles(gone)
	var found []string
	clean := func() bool {
		found = found[:0]
		for path, data := range f.files() {
			for name, needle := range looked {
				if bytes.Contains(data, needle) {
					found = append(found, name+" in "+path)
				}
			}
		}
		return len(found) == 0
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 40 {
		if clean() {
			f.t.Logf("%d needles", len(looked))
			return
		}
		<-tick.C
	}
	f.t.Errorf("superseded, and still there:\n%s", strings.Join(found, "\n"))
}

// files are all files below the instance's root but the seal.
func (f *folder) files() map[string][]byte {
	f.t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(f.inst.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			if errors.Is(err, fs.ErrNotExist) {
				err = nil // it was removed just now
			}
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil {
			out[path] = data
		} else if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	})
	must(f.t, err)
	return out
}
