//go:build amd64

package crash_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/kustos-io/kustos/internal/cli"
	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/test/harness"
)

// trouble is a doubly encrypted cluster's life: writes that fail and are undone, the
// audit log going on in another file, keys taken away and given back, a stop by its
// user, and everything that can be deleted.
func (s *story) trouble() []step {
	return []step{
		{"start", s.ready}, {"cluster", s.makeCluster}, {"tables", s.makeTables}, {"ingest", s.ingest},
		{"customer's key", func() error { return s.changeKey("k1") }},
		{"torn write", func() error { return s.failing("tornWrite", "*.kwl", func() error { return s.send("db.T", "torn") }) }},
		{"ingest again", func() error { return s.send("db.T", "after a torn write") }},
		{"full disk", func() error {
			return s.failing("fullDisk", "*.kxt", func() error { return s.sendDirect("db.T", "full", batchRows) })
		}},
		{"extents", func() error { return s.sendDirect("db.T", "direct", batchRows) }},
		{"audit log", s.auditLog},
		{"revoke", func() error { return s.revoke("k1", "db", "T") }},
		{"restore", func() error { return s.restore("k1", "db", "T") }},
		{"database's key", s.ownKey},
		{"revoke database", func() error { return s.revoke("k2", "own", "O") }},
		{"restore database", func() error { return s.restore("k2", "own", "O") }},
		{"hot tier", s.hotTier},
		{"alter", s.alter},
		{"stop cluster", func() error { return s.tryARM("stop cluster", http.MethodPost, clusterPath+"/stop", nil) }},
		{"start cluster", func() error { return s.tryARM("start cluster", http.MethodPost, clusterPath+"/start", nil) }},
		{"delete database", func() error { return s.tryARM("drop own.O", http.MethodDelete, clusterPath+"/databases/own", nil) }},
		{"delete cluster", s.deleteCluster},
		{"stop", s.stop},
	}
}

func (s *story) tryARM(what, method, path string, body any) error {
	return s.note(what, func() error { return s.arm(method, path, body, nil) })
}

// failing does something while writes to files of a kind fail: it must be refused.
func (s *story) failing(kind, files string, do func() error) error {
	if _, err := cli.Control(s.ctx(), s.c.Conn, http.MethodPost, "/faults", object{"kind": kind, "match": object{"file": files}}); err != nil {
		return err
	}
	var refused *client.RefusedError
	if err := do(); err == nil {
		return fmt.Errorf("%s of %s: acknowledged", kind, files)
	} else if !errors.As(err, &refused) {
		return err
	}
	_, err := cli.Control(s.ctx(), s.c.Conn, http.MethodDelete, "/faults", nil)
	return err
}

// auditLog does what is recorded until the log has gone on in two other files.
func (s *story) auditLog() error {
	files := func() int {
		found, _ := filepath.Glob(filepath.Join(s.inst.DataDir(), "audit", "*.kal")) // the pattern is well-formed
		return len(found)
	}
	for before, n := files(), 0; files() < before+2; n++ {
		if n > 5000 {
			return errors.New("the audit log never began another file")
		}
		if _, err := s.versionOf("k1"); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) versionOf(key string) (string, error) {
	a, err := s.c.Do(s.ctx(), client.Vault, http.MethodGet, vaultHost+"/keys/"+key+"?api-version=7.4", nil)
	if err = errors.Join(err, a.Refusal()); err != nil {
		return "", err
	}
	var bundle struct{ Key struct{ Kid string } }
	err = json.Unmarshal(a.Body, &bundle)
	return bundle.Key.Kid[strings.LastIndexByte(bundle.Key.Kid, '/')+1:], err
}

// enable turns the newest version of a key on or off.
func (s *story) enable(key string, on bool) error {
	version, err := s.versionOf(key)
	if err != nil {
		return err
	}
	a, err := s.c.Do(s.ctx(), client.Vault, http.MethodPatch, vaultHost+"/keys/"+key+"/"+version+"?api-version=7.4", object{"attributes": object{"enabled": on}})
	return errors.Join(err, a.Refusal())
}

// denied says that a table is refused because of its key.
func (s *story) denied(database, table string) bool {
	var refused *client.RefusedError
	err := s.query(database, table+" | count")
	return errors.As(err, &refused) && refused.Status == http.StatusPreconditionFailed && strings.Contains(refused.Message, "is disabled")
}

func (s *story) revoke(key, database, table string) error {
	s.tried["revoke"], s.tried["revoke database"] = true, s.tried["revoke database"] || database == "own"
	if err := s.enable(key, false); err != nil {
		return err
	}
	return s.await("denial", func() bool { return s.denied(database, table) })
}

func (s *story) restore(key, database, table string) error {
	s.tried["restore "+key] = true
	if err := s.enable(key, true); err != nil {
		return err
	}
	return s.await("restoration", func() bool { return s.query(database, table+" | count") == nil })
}

// giveBack gives the keys back that were away and starts what was stopped, after it
// has seen that neither is undone by a crash.
func (s *story) giveBack() {
	for key, at := range map[string]struct{ step, database, table string }{"k1": {"revoke", "db", "T"}, "k2": {"revoke database", "own", "O"}} {
		if !s.tried[at.step] {
			continue
		}
		if s.did[at.step] && !s.tried["restore "+key] {
			must(s.t, s.poll("the refusal of the tables of "+at.database+", whose key is away", nil, func() bool { return s.denied(at.database, at.table) }))
		}
		must(s.t, s.enable(key, true))
	}
	if !s.tried["stop cluster"] {
		return
	}
	var c struct {
		Properties struct{ State, ProvisioningState string }
	}
	// A stop that a crash interrupted goes on; until it is over nothing else begins.
	must(s.t, s.poll("the end of the stop", nil, func() bool {
		must(s.t, s.arm(http.MethodGet, clusterPath, nil, &c))
		return c.Properties.ProvisioningState == "Succeeded"
	}))
	if s.did["stop cluster"] && !s.tried["start cluster"] && c.Properties.State != "Stopped" {
		s.t.Errorf("a cluster that its user stopped is %s", c.Properties.State)
	}
	if c.Properties.State == "Stopped" || c.Properties.State == "Stopping" {
		must(s.t, s.arm(http.MethodPost, clusterPath+"/start", nil, nil))
	}
}

// hotTier reads a table until it is in memory: nothing of that is written.
func (s *story) hotTier() error {
	err := s.note("create db.H", func() error { return s.query("db", ".create table H (Id:long, Text:string)") })
	if err == nil {
		err = s.sendDirect("db.H", "hot", 20_000)
	}
	for range 3 {
		if err == nil {
			err = s.query("db", "H | summarize max(Id), dcount(Text)")
		}
	}
	if err == nil {
		err = s.logged("extents loaded into the hot tier", 1)
	}
	return err
}

// alter changes what is in the catalogue alone.
func (s *story) alter() error {
	for _, text := range []string{".create-merge table D (Id:long, Text:string, More:string)", `.alter table D policy streamingingestion '{"IsEnabled": true}'`} {
		if err := s.query("db", text); err != nil {
			return err
		}
	}
	return s.note("drop db.D", func() error { return s.query("db", ".drop table D") })
}

// deleteCluster makes another cluster with an extent, and deletes it.
func (s *story) deleteCluster() error {
	const path = "/providers/Microsoft.Kusto/clusters/gone"
	var made struct{ Properties struct{ URI string } }
	err := s.arm(http.MethodPut, path, object{"location": harness.Location, "sku": object{"name": "Standard_D13_v2", "tier": "Standard", "capacity": 2}, "properties": object{}}, &made)
	if err == nil {
		err = s.arm(http.MethodPut, path+"/databases/db", object{"location": harness.Location, "kind": "ReadWrite", "properties": object{}}, nil)
	}
	for _, text := range []string{".create table T (Id:long)", ".ingest inline into table T <|\n1\n", ".set-or-append T <| range Id from 1 to 3 step 1"} {
		if err == nil {
			_, err = s.c.Query(s.ctx(), made.Properties.URI, "db", text)
		}
	}
	if err == nil {
		err = s.arm(http.MethodDelete, path, nil, nil)
	}
	if err != nil {
		return err
	}
	folders, err := os.ReadDir(filepath.Join(s.inst.DataDir(), "clusters"))
	if err == nil && len(folders) != 1 {
		err = fmt.Errorf("a cluster was deleted, and there are %d folders", len(folders))
	}
	return err
}
