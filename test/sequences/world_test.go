package sequences_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/test/harness"
)

const (
	clusterName = "sequences"
	kustoAPI    = "2023-08-15"
	vaultAPI    = "2022-07-01"
	suffix      = ".vault.azure.net"
)

type object = map[string]any

// kek is a key that the cluster, or the database "own", is under. The zero value
// is the platform's, or the cluster's.
type kek struct {
	vault, name string
	version     string // pinned, "" for the newest
	user        bool   // reached by the user-assigned identity
}

// cause is one way in which a key is away now.
type cause struct {
	name string
	code string // of the refusal
	says string // in the refusal's text
	undo func() error
}

// world is a server and what is known of it.
type world struct {
	t      *testing.T
	random *rand.Rand
	count  map[string]*tally
	totals *totals
	trace  []string

	inst   *client.Instance
	c      *client.Client
	uri    string
	me     string
	system string // principal ids of the cluster's identities
	user   string
	userID string // resource id

	tables  []*table
	big     *big // nil until it is made
	next    int  // the last id given to a row
	stopped bool
	key     kek
	own     kek
	away    *cause // of the cluster's key
	ownAway *cause
	newest  map[string]string // key version by vault/name
}

func newWorld(t *testing.T, random *rand.Rand, count map[string]*tally, all *totals) *world {
	w := &world{t: t, random: random, count: count, totals: all, newest: map[string]string{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(strings.Join(w.trace, ", "))
		}
	})
	w.inst = harness.New(t, "--control", "127.0.0.1:0", "--clock", "manual", "--key-probe-interval", "1s")
	w.c = harness.Start(t, w.inst)
	var err error
	w.me, err = w.c.Subject(t.Context())
	w.must(err)
	w.must(w.c.ARM(t.Context(), http.MethodPut, harness.GroupPath(w.c), "2021-04-01", object{"location": harness.Location}, nil))
	w.userID = harness.GroupPath(w.c) + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/reader"
	var user struct{ Properties struct{ PrincipalID string } }
	w.must(w.c.ARM(t.Context(), http.MethodPut, w.userID, "2023-01-31", object{"location": harness.Location}, &user))
	double := random.IntN(2) == 0
	all.servers++
	if double {
		all.double++
		w.trace = append(w.trace, "(double encryption)")
	}
	var made struct {
		Identity   struct{ PrincipalID string }
		Properties struct{ URI string }
	}
	w.must(w.arm(http.MethodPut, "", object{"location": harness.Location,
		"identity":   object{"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": object{w.userID: object{}}},
		"sku":        object{"name": "Standard_D13_v2", "tier": "Standard", "capacity": 2},
		"properties": object{"enableStreamingIngest": true, "enableDoubleEncryption": double}}, &made))
	w.uri, w.system, w.user = made.Properties.URI, made.Identity.PrincipalID, user.Properties.PrincipalID
	w.must(w.administer())
	for _, vault := range []string{"kvseqa", "kvseqb", "kvseqo"} {
		w.must(w.putVault(vault, nil))
		w.must(w.newVersion(vault, "k1"))
	}
	w.must(w.newVersion("kvseqa", "k2"))
	for database, properties := range map[string]object{"db": {}, "own": {}, "short": {"softDeletePeriod": "P1D"}} {
		w.must(w.arm(http.MethodPut, "/databases/"+database, object{"location": harness.Location, "kind": "ReadWrite", "properties": properties}, nil))
	}
	for _, name := range []string{"db.T", "db.U", "own.T", "short.T"} {
		database, table, _ := strings.Cut(name, ".")
		w.addTable(database, table)
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// arm calls Resource Manager below the cluster.
func (w *world) arm(method, path string, body, out any) error {
	return w.c.ARM(w.t.Context(), method, harness.GroupPath(w.c)+"/providers/Microsoft.Kusto/clusters/"+clusterName+path, kustoAPI, body, out)
}

func (w *world) vaultARM(method, vault, path string, body any) error {
	return w.c.ARM(w.t.Context(), method, harness.GroupPath(w.c)+"/providers/Microsoft.KeyVault/vaults/"+vault+path, vaultAPI, body, nil)
}

func (w *world) policy(who string, keys ...string) object {
	return object{"tenantId": w.c.Conn.TenantID, "objectId": who, "permissions": object{"keys": keys}}
}

func (w *world) putVault(vault string, extra object) error {
	properties := object{"tenantId": w.c.Conn.TenantID, "sku": object{"family": "A", "name": "standard"}, "enableSoftDelete": true, "enablePurgeProtection": true,
		"accessPolicies": []object{w.policy(w.me, "all"), w.policy(w.system, "get", "wrapKey", "unwrapKey"), w.policy(w.user, "get", "wrapKey", "unwrapKey")}}
	for k, v := range extra {
		properties[k] = v
	}
	return w.vaultARM(http.MethodPut, vault, "", object{"location": harness.Location, "properties": properties})
}

// vaultKey calls a vault's data plane and returns the version in a key's answer.
func (w *world) vaultKey(method, vault, path string, body any) (version string, err error) {
	a, err := w.c.Do(w.t.Context(), client.Vault, method, "https://"+vault+suffix+path+"?api-version=7.4", body)
	if err = errors.Join(err, a.Refusal()); err != nil {
		return "", fmt.Errorf("%s %s%s: %w", method, vault, path, err)
	}
	var bundle struct{ Key struct{ Kid string } }
	err = json.Unmarshal(a.Body, &bundle)
	return bundle.Key.Kid[strings.LastIndexByte(bundle.Key.Kid, '/')+1:], err
}

func (w *world) newVersion(vault, name string) error {
	version, err := w.vaultKey(http.MethodPost, vault, "/keys/"+name+"/create", object{"kty": "RSA"})
	w.newest[vault+"/"+name] = version
	return err
}

// properties is what ARM is sent for a key.
func (k kek) properties(userID string) object {
	if k.vault == "" {
		return object{}
	}
	p := object{"keyVaultUri": "https://" + k.vault + suffix, "keyName": k.name, "keyVersion": k.version}
	if k.user {
		p["userIdentity"] = userID
	}
	return p
}

func (w *world) changeKey(k kek) error {
	return w.arm(http.MethodPatch, "", object{"properties": object{"keyVaultProperties": k.properties(w.userID)}}, nil)
}

func (w *world) changeOwnKey(k kek) error {
	return w.arm(http.MethodPatch, "/databases/own", object{"kind": "ReadWrite", "properties": object{"keyVaultProperties": k.properties(w.userID)}}, nil)
}
