package sequences_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/client"
)

// patience bounds the wait for what must come about.
const patience = time.Minute

// table is a table and which rows are, may be and must not be in it. Rows are
// whole batches: one is there entirely or not at all.
type table struct {
	database, name string
	acked          map[int]bool
	expired        map[int]bool // acknowledged, beyond their retention: dropped some time
	maybe          [][]int      // batches whose answer a crash took
}

func (w *world) addTable(database, name string) {
	w.t.Helper()
	w.command(database, ".create table "+name+" (Id:long, Text:string)",
		".alter table "+name+` policy streamingingestion '{"IsEnabled": true}'`)
	w.tables = append(w.tables, &table{database: database, name: name, acked: map[int]bool{}, expired: map[int]bool{}})
}

func (w *world) command(database string, commands ...string) {
	w.t.Helper()
	for _, text := range commands {
		if _, err := w.c.Query(w.t.Context(), w.uri, database, text); err != nil {
			w.t.Fatalf("%s: %v", text, err)
		}
	}
}

// why is the reason for which a table must be refused, nil when it must answer.
func (w *world) why(t *table) *cause {
	switch {
	case w.stopped:
		return &cause{name: "stopped by its user"}
	case w.away != nil:
		return w.away
	case t.database == "own" && w.ownAway != nil:
		return w.ownAway
	}
	return nil
}

// settle waits until every table answers, or is refused, as it must; after that
// it must stay so. What is answered in between must be right all the same.
func (w *world) settle() {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for _, t := range w.tables {
		for {
			verdict := w.look(t)
			if verdict == "" {
				break
			}
			if time.Now().After(deadline) {
				w.t.Fatalf("%s.%s after %s: %s", t.database, t.name, patience, verdict)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	for _, t := range w.tables {
		if verdict := w.look(t); verdict != "" && !strings.HasPrefix(verdict, "busy:") {
			w.t.Fatalf("%s.%s did not stay as it was: %s", t.database, t.name, verdict)
		}
	}
	w.settleBig()
	w.states()
}

// look asks for a table once and says what is not, or not yet, as it must be.
func (w *world) look(t *table) string {
	w.t.Helper()
	rows, err := w.c.Query(w.t.Context(), w.uri, t.database, "set notruncation; "+t.name+" | project Id, Text")
	why := w.why(t)
	if err == nil {
		w.compare(t, rows)
		if why != nil {
			return "answered, though " + why.name
		}
		return ""
	}
	return judge(err, why, t.database)
}

// judge says what is wrong with a refusal.
func judge(err error, why *cause, database string) string {
	var refused *client.RefusedError
	switch {
	case !errors.As(err, &refused):
		return "no clean answer: " + err.Error()
	case why == nil && refused.Status >= 500:
		return "busy: " + err.Error() // the engine child is being replaced
	case why == nil:
		return "refused: " + err.Error()
	case why.says == "":
		if refused.Status < 400 || strings.Contains(err.Error(), "vault") {
			return "refused for another reason than its user's stop: " + err.Error()
		}
		return ""
	case refused.Status != http.StatusPreconditionFailed || !strings.Contains(err.Error(), why.says):
		return fmt.Sprintf("the key is away because %s, and the refusal says %v", why.name, err)
	}
	return ""
}

// compare holds an answer against the model; after a crash it learns which of
// the batches without an answer are there.
func (w *world) compare(t *table, rows [][]any) {
	w.t.Helper()
	there := map[int]bool{}
	for _, r := range rows {
		id := int(r[0].(float64))
		if there[id] {
			w.t.Fatalf("%s.%s: row %d is there twice", t.database, t.name, id)
		}
		if want := fmt.Sprintf("row %d", id); r[1] != want {
			w.t.Fatalf("%s.%s: row %d says %q", t.database, t.name, id, r[1])
		}
		there[id] = true
	}
	for _, batch := range t.maybe {
		n := 0
		for _, id := range batch {
			if there[id] {
				n++
			}
		}
		if n != 0 && n != len(batch) {
			w.t.Fatalf("%s.%s: %d of the %d rows of a batch are there", t.database, t.name, n, len(batch))
		}
		for _, id := range batch {
			if n > 0 {
				t.acked[id] = true
			}
		}
	}
	t.maybe = nil
	for id := range t.acked {
		if !there[id] {
			w.t.Fatalf("%s.%s: acknowledged row %d is not there", t.database, t.name, id)
		}
		delete(there, id)
	}
	for id := range there {
		if !t.expired[id] {
			w.t.Fatalf("%s.%s: row %d was never acknowledged", t.database, t.name, id)
		}
	}
}

// states holds what Resource Manager says against the model.
func (w *world) states() {
	w.t.Helper()
	var c struct {
		Properties struct{ State, StateReason string }
	}
	w.must(w.arm(http.MethodGet, "", nil, &c))
	switch p := c.Properties; {
	case w.stopped && p.State != "Stopped", w.away != nil && p.State != "Stopped", !w.stopped && w.away == nil && p.State != "Running":
		w.t.Fatalf("the cluster is %s (%s)", p.State, p.StateReason)
	case w.away != nil && (!strings.Contains(p.StateReason, w.away.code) || !strings.Contains(p.StateReason, w.away.says)):
		w.t.Fatalf("the key is away because %s (%s), and the state says %q", w.away.name, w.away.code, p.StateReason)
	}
	if w.away != nil || w.stopped {
		return // nothing is said of its databases
	}
	var d struct {
		Properties struct {
			KeyVaultProperties *struct{ KeyName string }
			SuspensionDetails  *struct{ SuspensionStartDate string }
		}
	}
	w.must(w.arm(http.MethodGet, "/databases/own", nil, &d))
	if p := d.Properties; p.KeyVaultProperties != nil && p.KeyVaultProperties.KeyName != w.own.name || (p.KeyVaultProperties == nil) != (w.own.vault == "") {
		w.t.Fatalf("the key of the database is %+v, not %+v", p.KeyVaultProperties, w.own)
	} else if (p.SuspensionDetails != nil) != (w.ownAway != nil) {
		w.t.Fatalf("the suspension of the database is %+v; its key is away: %v", p.SuspensionDetails, w.ownAway != nil)
	}
}
