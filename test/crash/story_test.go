//go:build amd64

package crash_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/cli"
	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/internal/connection"
	"github.com/kustos-io/kustos/test/harness"
)

const (
	batchRows = 5
	vaultHost = "https://kvlife.vault.azure.net"
	kustoAPI  = "2023-08-15"
)

var errEnded = errors.New("the server has ended")

type object = map[string]any

// batch is rows that were sent to a table at once.
type batch struct {
	table          string
	first, rows    int
	acked, refused bool // neither: the server ended first
}

// story is a server's life and what is known to have happened in it.
type story struct {
	t       *testing.T
	inst    *client.Instance
	process *traced
	c       *client.Client
	uri     string
	double  bool
	key     string // of the cluster in force as last acknowledged
	keyNext string // that was asked for since, "-" for none

	batches    map[string]*batch
	did, tried map[string]bool
	killed     bool
	points     []point
}

// life is ingestion, seals, merges, retention, drops, changes of every key, a
// re-encryption and a backup.
func (s *story) life() []step {
	return []step{
		{"start", s.ready}, {"cluster", s.makeCluster}, {"tables", s.makeTables}, {"ingest", s.ingest},
		{"customer's key", func() error { return s.changeKey("k1") }},
		{"seal", func() error { return s.advance("6m", "extent written", 3) }},
		{"ingest again", func() error { return s.send("db.T", "second") }},
		{"extents", s.direct},
		{"merge", func() error { return s.advance("2m", "extents merged", 1) }},
		{"database's key", s.databaseKey},
		{"new version", s.newVersion},
		{"another key", func() error { return s.changeKey("k2") }},
		{"retention", s.retention},
		{"drop", s.drop},
		{"reencrypt", func() error { return s.command("reencrypt", "--data", s.inst.DataDir(), "--cluster", "life", "--wait") }},
		{"operator", s.operator},
		{"backup", s.backup},
		{"platform's key", func() error { return s.changeKey("") }},
		{"stop", s.stop},
	}
}

func (s *story) ctx() context.Context { return s.t.Context() }

// await polls until seen, or until the server that will be killed ends.
func (s *story) await(what string, seen func() bool) error {
	return s.poll(what, s.process.done, seen)
}

// poll polls until seen, or until ended is closed.
func (s *story) poll(what string, ended <-chan struct{}, seen func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); !seen(); {
		select {
		case <-ended:
			return errEnded
		case <-deadline:
			return fmt.Errorf("never seen: %s", what)
		case <-tick.C:
		}
	}
	return nil
}

func (s *story) ready() error {
	var conn connection.File
	err := s.await("connection.json", func() (ok bool) {
		var err error
		conn, err = connection.Read(s.inst.DataDir())
		return err == nil
	})
	if err == nil {
		s.c, err = client.New(conn)
	}
	return err
}

func (s *story) arm(method, path string, body, out any) error {
	return s.c.ARM(s.ctx(), method, harness.GroupPath(s.c)+path, kustoAPI, body, out)
}

const clusterPath = "/providers/Microsoft.Kusto/clusters/life"

func (s *story) makeCluster() error {
	var made struct {
		Identity   struct{ PrincipalID string }
		Properties struct{ URI string }
	}
	me, err := s.c.Subject(s.ctx())
	if err != nil {
		return err
	}
	policy := func(who string, permissions ...string) object {
		return object{"tenantId": s.c.Conn.TenantID, "objectId": who, "permissions": object{"keys": permissions}}
	}
	return errors.Join(
		s.c.ARM(s.ctx(), http.MethodPut, harness.GroupPath(s.c), "2021-04-01", object{"location": harness.Location}, nil),
		s.arm(http.MethodPut, clusterPath, object{"location": harness.Location, "identity": object{"type": "SystemAssigned"},
			"sku": object{"name": "Standard_D13_v2", "tier": "Standard", "capacity": 2}, "properties": object{"enableStreamingIngest": true, "enableDoubleEncryption": s.double}}, &made),
		s.note("uri", func() error { s.uri = made.Properties.URI; return nil }),
		s.database("db", object{}), s.database("short", object{"softDeletePeriod": "P1D"}),
		s.c.ARM(s.ctx(), http.MethodPut, harness.GroupPath(s.c)+"/providers/Microsoft.KeyVault/vaults/kvlife", "2022-07-01", object{"location": harness.Location, "properties": object{
			"tenantId": s.c.Conn.TenantID, "sku": object{"family": "A", "name": "standard"}, "enableSoftDelete": true, "enablePurgeProtection": true,
			"accessPolicies": []object{policy(me, "all"), policy(made.Identity.PrincipalID, "get", "wrapKey", "unwrapKey")}}}, nil),
		s.vault("/keys/k1/create", object{"kty": "RSA"}), s.vault("/keys/k2/create", object{"kty": "RSA"}),
	)
}

func (s *story) database(name string, properties object) error {
	return s.arm(http.MethodPut, clusterPath+"/databases/"+name, object{"location": harness.Location, "kind": "ReadWrite", "properties": properties}, nil)
}

// note does something that may be half-done when the server ends under it.
func (s *story) note(what string, do func() error) error {
	s.tried[what] = true
	err := do()
	s.did[what] = s.did[what] || err == nil
	return err
}

func (s *story) vault(path string, body any) error {
	a, err := s.c.Do(s.ctx(), client.Vault, http.MethodPost, vaultHost+path+"?api-version=7.4", body)
	if err != nil {
		return err
	}
	return a.Refusal()
}

func (s *story) query(database, text string) error {
	_, err := s.c.Query(s.ctx(), s.uri, database, text)
	return err
}

func (s *story) makeTables() error {
	for _, table := range []string{"db.T", "short.R", "db.D"} {
		database, name, _ := strings.Cut(table, ".")
		err := s.note("create "+table, func() error { return s.query(database, ".create table "+name+" (Id:long, Text:string)") })
		if err != nil {
			return err
		}
	}
	return s.query("db", `.alter table T policy streamingingestion '{"IsEnabled": true}'`)
}

// send ingests a batch; label names it.
func (s *story) send(table, label string) error {
	b, body := s.newBatch(table, label)
	database, name, _ := strings.Cut(table, ".")
	err := s.query(database, ".ingest inline into table "+name+" <|\n"+body)
	b.note(err)
	return err
}

// note is how the server answered, if it did.
func (b *batch) note(err error) {
	var refused *client.RefusedError
	b.acked, b.refused = err == nil, errors.As(err, &refused)
}

func (s *story) newBatch(table, label string) (*batch, string) {
	b := &batch{table: table, first: 1000 * (len(s.batches) + 1), rows: batchRows}
	s.batches[label] = b
	var body strings.Builder
	for id := b.first; id < b.first+b.rows; id++ {
		fmt.Fprintf(&body, "%d,row %d\n", id, id)
	}
	return b, body.String()
}

func (s *story) ingest() error {
	b, body := s.newBatch("db.T", "streamed")
	if err := s.c.Stream(s.ctx(), s.uri, "db", "T", "csv", []byte(body)); err != nil {
		return err
	}
	b.acked = true
	for _, table := range []string{"db.T", "short.R", "db.D"} {
		if err := s.send(table, "first of "+table); err != nil {
			return err
		}
	}
	return nil
}

// direct makes extents past the log, enough of them to be merged.
func (s *story) direct() error {
	for i := range 8 {
		if err := s.sendDirect("db.T", fmt.Sprint("direct ", i), batchRows); err != nil {
			return err
		}
	}
	return nil
}

// sendDirect makes an extent past the log.
func (s *story) sendDirect(table, label string, rows int) error {
	b, _ := s.newBatch(table, label)
	b.rows = rows
	database, name, _ := strings.Cut(table, ".")
	err := s.query(database, fmt.Sprintf(".set-or-append %s <| range Id from %d to %d step 1 | extend Text = tostring(Id)", name, b.first, b.first+rows-1))
	b.note(err)
	return err
}

// advance moves the clock and waits until the log has said something so often.
func (s *story) advance(by, text string, times int) error {
	if _, err := cli.Control(s.ctx(), s.c.Conn, http.MethodPost, "/clock/advance", object{"by": by}); err != nil {
		return err
	}
	return s.logged(text, times)
}

func (s *story) logged(text string, times int) error {
	return s.await(text, func() bool {
		log, err := os.ReadFile(filepath.Join(s.inst.Root, "server.log"))
		return err == nil && strings.Count(string(log), text) >= times
	})
}

func (s *story) changeKey(name string) error {
	properties := object{}
	if name != "" {
		properties = object{"keyVaultUri": vaultHost, "keyName": name}
	}
	s.keyNext = name
	err := s.arm(http.MethodPatch, clusterPath, object{"properties": object{"keyVaultProperties": properties}}, nil)
	if err == nil {
		s.key, s.keyNext = name, "-"
	}
	return err
}

// ownKey makes a database with a key of its own.
func (s *story) ownKey() error {
	own := object{"keyVaultProperties": object{"keyVaultUri": vaultHost, "keyName": "k2"}}
	if err := s.database("own", own); err != nil {
		return err
	}
	err := s.note("create own.O", func() error { return s.query("own", ".create table O (Id:long, Text:string)") })
	if err != nil {
		return err
	}
	return s.send("own.O", "own")
}

func (s *story) databaseKey() error {
	if err := s.ownKey(); err != nil {
		return err
	}
	patch := func(properties object) error {
		return s.arm(http.MethodPatch, clusterPath+"/databases/own", object{"kind": "ReadWrite", "properties": object{"keyVaultProperties": properties}}, nil)
	}
	if err := patch(object{"keyVaultUri": vaultHost, "keyName": "k1"}); err != nil {
		return err
	}
	return patch(object{})
}

// newVersion is followed by the cluster at once: the vault hints.
func (s *story) newVersion() error {
	log, err := os.ReadFile(filepath.Join(s.inst.Root, "server.log"))
	if err != nil {
		return err
	}
	before := strings.Count(string(log), "key wrapped anew")
	if err := s.vault("/keys/k1/create", object{"kty": "RSA"}); err != nil {
		return err
	}
	return s.logged("key wrapped anew", before+1)
}

func (s *story) retention() error {
	return s.note("retention", func() error { return s.advance("3d", "extents beyond their retention dropped", 1) })
}

func (s *story) drop() error {
	return s.note("drop db.D", func() error { return s.query("db", ".drop table D") })
}

// operator makes a new data key of the barrier and a new root key.
func (s *story) operator() error {
	if err := s.command("operator", "rotate", "--data", s.inst.DataDir()); err != nil {
		return err
	}
	return s.command("operator", "rekey", "--data", s.inst.DataDir())
}

// command runs another process of the binary, which is not killed.
func (s *story) command(args ...string) error {
	if out, err := exec.Command(s.inst.Binary(), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("kustos %v: %w: %s", args, err, out)
	}
	return nil
}

func (s *story) backup() error {
	return s.command("backup", "--data", s.inst.DataDir(), filepath.Join(s.inst.Root, "copy"))
}

func (s *story) stop() error {
	process, err := os.FindProcess(s.process.pid)
	if err == nil {
		err = process.Signal(os.Interrupt)
	}
	return err
}

// keys compares the key in force with what was asked for.
func (s *story) keys() {
	var got struct {
		Properties struct {
			KeyVaultProperties *struct{ KeyName string }
		}
	}
	must(s.t, s.arm(http.MethodGet, clusterPath, nil, &got))
	name := ""
	if got.Properties.KeyVaultProperties != nil {
		name = got.Properties.KeyVaultProperties.KeyName
	}
	if name != s.key && name != s.keyNext {
		s.t.Errorf("the key in force is %q; %q was acknowledged and %q asked for", name, s.key, s.keyNext)
	}
}
