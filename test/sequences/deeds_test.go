package sequences_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/kustos-io/kustos/internal/cli"
	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/test/harness"
)

type deed struct {
	name   string
	weight int
	able   func(w *world) bool // nil: always
	do     func(w *world)
}

func running(w *world) bool { return !w.stopped && w.away == nil }
func calm(w *world) bool    { return running(w) && w.ownAway == nil }

func allDeeds() []deed {
	return []deed{
		{"ingest", 16, nil, (*world).ingest},
		{"kill", 6, nil, (*world).kill},
		{"kill under ingestion", 6, running, (*world).killUnderIngestion},
		{"restart", 5, nil, (*world).restart},
		{"stop", 3, running, func(w *world) { w.must(w.arm(http.MethodPost, "/stop", nil, nil)); w.stopped = true }},
		{"start", 6, func(w *world) bool { return w.stopped }, func(w *world) { w.must(w.arm(http.MethodPost, "/start", nil, nil)); w.stopped = false }},
		{"drop and make again", 3, calm, (*world).drop},
		{"switch", 12, calm, (*world).switchKey},
		{"switch in vain", 2, calm, (*world).switchInVain},
		{"rotate", 5, func(w *world) bool { return running(w) && w.key.vault != "" }, func(w *world) { w.must(w.newVersion(w.key.vault, w.key.name)) }},
		{"revoke", 10, func(w *world) bool { return running(w) && w.key.vault != "" }, func(w *world) { w.away = w.revoke(w.key) }},
		{"restore", 12, func(w *world) bool { return w.away != nil }, func(w *world) { w.must(w.away.undo()); w.away = nil }},
		{"database key", 10, calm, (*world).databaseKey},
		{"revoke database", 8, func(w *world) bool { return calm(w) && w.own.vault != "" }, func(w *world) { w.ownAway = w.revoke(w.own) }},
		{"restore database", 6, func(w *world) bool { return w.ownAway != nil }, func(w *world) { w.must(w.ownAway.undo()); w.ownAway = nil }},
		{"silence", 3, func(w *world) bool { return calm(w) && w.key.vault != "" }, (*world).silence},
		{"re-encrypt", 6, nil, func(w *world) { w.reencryption("") }},
		{"pause re-encryption", 2, nil, func(w *world) { w.reencryption("/pause") }},
		{"resume re-encryption", 3, nil, func(w *world) { w.reencryption("/resume") }},
		{"cancel re-encryption", 1, nil, func(w *world) { w.reencryption("/cancel") }},
		{"heat", 6, calm, (*world).heat},
		{"advance the clock", 3, calm, (*world).advance},
		{"backup and restore", 2, calm, (*world).backup},
	}
}

func (w *world) pick() *table { return w.tables[w.random.IntN(len(w.tables))] }

// batch makes rows that were never there before.
func (w *world) batch(n int) (ids []int, body string) {
	var b strings.Builder
	for range n {
		w.next++
		ids = append(ids, w.next)
		fmt.Fprintf(&b, "%d,row %d\n", w.next, w.next)
	}
	return ids, b.String()
}

func (w *world) send(t *table, body string, how int) error {
	if how == 0 {
		return w.c.Stream(w.t.Context(), w.uri, t.database, t.name, "csv", []byte(body))
	}
	_, err := w.c.Query(w.t.Context(), w.uri, t.database, ".ingest inline into table "+t.name+" <|\n"+body)
	return err
}

// direct makes an extent past the log.
func (w *world) direct(t *table, ids []int) error {
	_, err := w.c.Query(w.t.Context(), w.uri, t.database, fmt.Sprintf(".set-or-append %s <| range Id from %d to %d step 1 | extend Text = strcat('row ', tostring(Id))", t.name, ids[0], ids[len(ids)-1]))
	return err
}

func (w *world) ingest() {
	for range 1 + w.random.IntN(3) {
		t := w.pick()
		ids, body := w.batch(1 + w.random.IntN(20))
		var err error
		if how := w.random.IntN(3); how == 2 {
			err = w.direct(t, ids)
		} else {
			err = w.send(t, body, how)
		}
		why := w.why(t)
		if err != nil {
			if verdict := judge(err, why, t.database); verdict != "" && !strings.HasPrefix(verdict, "busy:") {
				w.t.Fatalf("ingestion into %s.%s: %s", t.database, t.name, verdict)
			}
			continue // refused: must not be there
		}
		if why != nil {
			w.t.Fatalf("ingestion into %s.%s was acknowledged, though %s", t.database, t.name, why.name)
		}
		t.note(ids)
	}
}

func (t *table) note(ids []int) {
	for _, id := range ids {
		t.acked[id] = true
	}
}

func (w *world) kill() {
	w.must(w.inst.Kill())
	w.c = harness.Start(w.t, w.inst)
}

func (w *world) restart() {
	w.must(w.inst.Stop())
	w.c = harness.Start(w.t, w.inst)
}

// killUnderIngestion kills the server while several clients ingest. What was
// refused by name must not be there; what got no answer may be.
func (w *world) killUnderIngestion() {
	type sent struct {
		table *table
		ids   []int
		body  string
		how   int
	}
	work := make(chan sent, 400)
	for range cap(work) {
		s := sent{table: w.pick(), how: w.random.IntN(2)}
		s.ids, s.body = w.batch(1 + w.random.IntN(20))
		work <- s
	}
	close(work)
	enough := make(chan struct{})
	var once sync.Once
	var mu sync.Mutex
	var all sync.WaitGroup
	goal, acked := 1+w.random.IntN(30), 0
	for range 3 {
		all.Go(func() {
			defer once.Do(func() { close(enough) })
			for s := range work {
				err := w.send(s.table, s.body, s.how)
				var refused *client.RefusedError
				mu.Lock()
				switch {
				case err == nil:
					s.table.note(s.ids)
					if acked++; acked == goal {
						once.Do(func() { close(enough) })
					}
				case !errors.As(err, &refused):
					s.table.maybe = append(s.table.maybe, s.ids)
				}
				mu.Unlock()
				if err != nil && refused == nil {
					return
				}
			}
		})
	}
	<-enough
	w.must(w.inst.Kill())
	all.Wait()
	w.c = harness.Start(w.t, w.inst)
}

func (w *world) drop() {
	at := w.random.IntN(len(w.tables))
	t := w.tables[at]
	w.command(t.database, ".drop table "+t.name)
	w.tables = append(w.tables[:at:at], w.tables[at+1:]...)
	w.addTable(t.database, t.name)
}

// anyKey is a key of the cluster's vaults, pinned or not, by either identity.
func (w *world) anyKey() kek {
	at := [][2]string{{"kvseqa", "k1"}, {"kvseqa", "k2"}, {"kvseqb", "k1"}}[w.random.IntN(3)]
	k := kek{vault: at[0], name: at[1], user: w.random.IntN(2) == 0}
	if w.random.IntN(2) == 0 {
		k.version = w.newest[k.vault+"/"+k.name]
	}
	return k
}

func (w *world) switchKey() {
	k := w.anyKey()
	if w.random.IntN(6) == 0 {
		k = kek{}
	}
	w.must(w.changeKey(k))
	w.key = k
}

func (w *world) switchInVain() {
	err := w.changeKey(kek{vault: "kvseqb", name: "nokey"})
	if err == nil || !strings.Contains(err.Error(), "KeyNotFound") {
		w.t.Fatalf("a change to a key that does not exist: %v", err)
	}
}

func (w *world) databaseKey() {
	k := kek{vault: "kvseqo", name: "k1"}
	switch w.random.IntN(4) {
	case 0:
		k = kek{}
	case 1:
		k.version = w.newest["kvseqo/k1"]
	}
	w.must(w.changeOwnKey(k))
	w.own = k
}

// revoke takes a key away by one of the causes its owner has.
func (w *world) revoke(k kek) *cause {
	version := k.version
	if version == "" {
		version = w.newest[k.vault+"/"+k.name]
	}
	enable := func(on bool) error {
		// every version: which one wrapped is not said
		_, err := w.vaultKey(http.MethodPatch, k.vault, "/keys/"+k.name+"/"+version, object{"attributes": object{"enabled": on}})
		return err
	}
	identity := w.system
	if k.user {
		identity = w.user
	}
	policies := func(deed string) error {
		return w.vaultARM(http.MethodPut, k.vault, "/accessPolicies/"+deed, object{"properties": object{"accessPolicies": []object{w.policy(identity, "get", "wrapKey", "unwrapKey")}}})
	}
	firewall := func(action string) error {
		return w.vaultARM(http.MethodPatch, k.vault, "", object{"properties": object{"networkAcls": object{"defaultAction": action, "bypass": "None"}}})
	}
	const noAccess = "IdentityDoesNotHaveAccessToKeyVault"
	var c cause
	var err error
	switch w.random.IntN(5) {
	case 0:
		c = cause{"its version is disabled", noAccess, "is disabled", func() error { return enable(true) }}
		err = enable(false)
	case 1:
		c = cause{"it is deleted", "KeyNotFound", "key '" + k.name + "'", func() error {
			_, err := w.vaultKey(http.MethodPost, k.vault, "/deletedkeys/"+k.name+"/recover", nil)
			return err
		}}
		_, err = w.vaultKey(http.MethodDelete, k.vault, "/keys/"+k.name, nil)
	case 2:
		c = cause{"the policy is removed", noAccess, "identity may not", func() error { return policies("add") }}
		err = policies("remove")
	case 3:
		c = cause{"the firewall is closed", noAccess, "firewall", func() error { return firewall("Allow") }}
		err = firewall("Deny")
	case 4:
		c = cause{"the vault is deleted", "KeyVaultNotFound", "vault https://" + k.vault + suffix + " does not exist", func() error { return w.putVault(k.vault, object{"createMode": "recover"}) }}
		err = w.vaultARM(http.MethodDelete, k.vault, "", nil)
	}
	w.must(err)
	w.trace = append(w.trace, "("+c.name+")")
	return &c
}

// silence is network trouble: answers go on, and so does ingestion.
func (w *world) silence() {
	_, err := cli.Control(w.t.Context(), w.c.Conn, http.MethodPost, "/faults", object{"kind": "serverError", "match": object{"vault": w.key.vault}})
	w.must(err)
	w.ingest()
	w.settle()
	_, err = cli.Control(w.t.Context(), w.c.Conn, http.MethodDelete, "/faults", nil)
	w.must(err)
}

// reencryption begins or steers a re-encryption, which then goes on beside
// everything else. One that cannot be in the state it is in is refused.
func (w *world) reencryption(deed string) {
	path := harness.GroupPath(w.c) + "/providers/Microsoft.Kusto/clusters/" + clusterName + "/kustosReencrypt" + deed
	a, err := w.c.Do(w.t.Context(), client.ARM, http.MethodPost, client.ARM+path+"?api-version="+kustoAPI, nil)
	w.must(err)
	if a.Status >= 400 && a.Status != http.StatusConflict && a.Status != http.StatusNotFound {
		w.t.Fatalf("re-encryption%s: %v", deed, a.Refusal())
	}
}

// advance moves the clock past the retention of the database "short".
func (w *world) advance() {
	for _, t := range w.tables {
		if t.database == "short" {
			for id := range t.acked {
				t.expired[id] = true
			}
			clear(t.acked)
		}
	}
	_, err := cli.Control(w.t.Context(), w.c.Conn, http.MethodPost, "/clock/advance", object{"by": "30h"})
	w.must(err)
}

// backup copies the folder under the running server, and looks at the copy in
// another server elsewhere.
func (w *world) backup() {
	dir := filepath.Join(w.t.TempDir(), "elsewhere")
	w.must(os.MkdirAll(dir, 0o700))
	run := func(args ...string) {
		if out, err := exec.Command(w.inst.Binary(), args...).CombinedOutput(); err != nil {
			w.t.Fatalf("kustos %s: %v\n%s", args, err, out)
		}
	}
	run("backup", "--data", w.inst.DataDir(), filepath.Join(dir, "copy"))
	here := *w
	w.inst = client.NewInstance(here.inst.Binary(), dir, here.inst.Args...)
	run("restore", "--data", w.inst.DataDir(), filepath.Join(dir, "copy"))
	seal, err := os.ReadFile(here.inst.SealPath())
	w.must(err)
	w.must(os.WriteFile(w.inst.SealPath(), seal, 0o600))
	w.c = harness.Start(w.t, w.inst)
	w.settle()
	w.must(w.inst.Stop())
	w.inst, w.c = here.inst, here.c
}
