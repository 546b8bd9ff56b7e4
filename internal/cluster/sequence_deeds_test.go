package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/envelope"
)

// seqDeed is something that can happen. do returns what is known when it was
// answered, and what may be so when the current failed meanwhile.
type seqDeed struct {
	weight  int
	able    func(w *seqWorld) bool // nil: always
	do      func(w *seqWorld) (known, unknown func())
	crashes func(w *seqWorld) // instead of do
}

// sure is a deed whose outcome a crash does not change.
func sure(do func(w *seqWorld)) func(*seqWorld) (known, unknown func()) {
	return func(w *seqWorld) (known, unknown func()) { do(w); return nil, nil }
}

func seqDeeds() map[string]seqDeed {
	return map[string]seqDeed{
		"ingest":                 {weight: 8, do: (*seqWorld).ingestSome},
		"direct":                 {weight: 3, do: (*seqWorld).ingestFile},
		"seal":                   {weight: 4, do: sure((*seqWorld).sealSome)},
		"maintain":               {weight: 3, able: isUp, do: sure(func(w *seqWorld) { _ = w.r.Maintain(context.Background(), testCluster) })}, // may meet a dead child
		"retention":              {weight: 2, able: isUp, do: (*seqWorld).expire},
		"drop":                   {weight: 2, able: isUp, do: (*seqWorld).dropSome},
		"kill child":             {weight: 2, do: sure(func(w *seqWorld) { w.killChildren() })},
		"stop":                   {weight: 2, able: func(w *seqWorld) bool { return w.wanted }, do: (*seqWorld).userStop},
		"start":                  {weight: 4, able: func(w *seqWorld) bool { return !w.wanted }, do: (*seqWorld).userStart},
		"switch":                 {weight: 6, do: (*seqWorld).switchSome},
		"database key":           {weight: 5, able: isUp, do: (*seqWorld).switchOwn},
		"rotate":                 {weight: 4, do: sure((*seqWorld).rotate)},
		"revoke":                 {weight: 8, do: sure(func(w *seqWorld) { w.revokeSome() })},
		"restore":                {weight: 6, do: sure(func(w *seqWorld) { w.restoreSome() })},
		"restore all":            {weight: 3, do: sure(func(w *seqWorld) { w.restoreAll() })},
		"re-encrypt":             {weight: 3, do: sure((*seqWorld).reencryption)},
		"under query":            {weight: 3, able: isUp, do: sure((*seqWorld).underQuery)},
		"revoke under ingestion": {weight: 3, able: isUp, do: sure((*seqWorld).revokeUnderIngestion)},
		"restart": {weight: 4, do: sure(func(w *seqWorld) {
			w.must(w.r.Close())
			w.must(w.sql.Close())
			w.boot()
		})},
		"crash": {weight: 10, crashes: func(w *seqWorld) {
			var names []string
			for _, name := range []string{"ingest", "direct", "seal", "maintain", "drop", "stop", "start", "switch", "database key", "rotate", "re-encrypt", "retention"} {
				if d := seqDeeds()[name]; d.able == nil || d.able(w) {
					names = append(names, name)
				}
			}
			name := rapid.SampledFrom(names).Draw(w.rt, "in")
			w.trace = append(w.trace, "in "+name)
			if name == "retention" {
				w.beyond() // what is in no extent then would stay
			}
			w.crashIn(func() (known, unknown func()) { return seqDeeds()[name].do(w) })
		}},
	}
}

func isUp(w *seqWorld) bool { return w.up }

func (w *seqWorld) some() *seqTable {
	return w.tables[rapid.SampledFrom([]string{"db.T", "db.R", "own.T"}).Draw(w.rt, "table")]
}

func (w *seqWorld) values() (values []int64, texts []string) {
	for range rapid.IntRange(1, 4).Draw(w.rt, "rows") {
		w.next++
		values, texts = append(values, w.next), append(texts, strconv.FormatInt(w.next, 10))
	}
	return values, texts
}

var oneColumn = catalog.Table{Columns: []catalog.Column{{ID: 1, Name: "n", Type: catalog.Long}}}

// outcome is what an ingestion's answer means.
func (w *seqWorld) outcome(t *seqTable, texts []string, err error) (known, unknown func()) {
	if err != nil {
		if !errors.Is(err, ErrEngine) {
			w.judge("ingestion", t, err)
		}
		return nil, nil // refused: must not be there
	}
	if why := w.why(t); why != nil {
		w.rt.Fatalf("ingestion into %s.%s was acknowledged, though %v", t.database, t.name, why)
	}
	return func() { t.rows = append(t.rows, texts...) }, func() { t.maybe = texts }
}

func (w *seqWorld) ingestSome() (known, unknown func()) {
	t := w.some()
	values, texts := w.values()
	return w.outcome(t, texts, w.r.Ingest(context.Background(), testCluster, t.database, t.name, batchOf(oneColumn, values...)))
}

func (w *seqWorld) ingestFile() (known, unknown func()) {
	t := w.some()
	_, texts := w.values()
	file := `[{"c1":"` + strings.Join(texts, `"},{"c1":"`) + `"}]`
	_, err := w.r.IngestParquet(context.Background(), testCluster, t.database, t.name, strings.NewReader(file), int64(len(file)), map[string]string{"n": "c1"})
	return w.outcome(t, texts, err)
}

func (w *seqWorld) sealSome() {
	if live := w.live(w.some()); live != nil {
		_ = live.seal(context.Background()) // may meet a dead child
	}
}

// beyond brings all rows of R beyond their retention.
func (w *seqWorld) beyond() {
	for live := w.live(w.tables["db.R"]); live.seal(context.Background()) != nil; {
	}
	w.clock.advance(48 * time.Hour)
}

// expire lets them be dropped.
func (w *seqWorld) expire() (known, unknown func()) {
	t := w.tables["db.R"]
	w.beyond()
	done := func() {
		t.maybeGone, w.expires = true, true
	}
	_ = w.r.Maintain(context.Background(), testCluster)
	return done, done
}

// finishExpiry drops what a maintenance that went wrong has left.
func (w *seqWorld) finishExpiry() {
	t := w.tables["db.R"]
	for {
		err := w.r.Maintain(context.Background(), testCluster)
		if err == nil {
			break
		}
		if !errors.Is(err, ErrEngine) && !strings.Contains(err.Error(), "gone") {
			w.rt.Fatalf("maintenance: %v", err)
		}
	}
	t.rows, t.maybeGone, w.expires = nil, false, false
}

func (w *seqWorld) dropSome() (known, unknown func()) {
	t := w.some()
	err := w.r.DropTable(context.Background(), testCluster, t.database, t.name)
	if err != nil {
		w.judge("a drop", t, err)
		return nil, nil
	}
	w.makeTable(t)
	if t.name == "R" {
		w.expires = false
	}
	return func() { t.rows = nil }, func() { t.maybeGone = true }
}

func (w *seqWorld) killChildren() {
	for _, c := range w.engine.alive() {
		c.Close()
	}
}

func (w *seqWorld) userStop() (known, unknown func()) {
	w.must(w.r.Stop(context.Background(), testCluster))
	off := false
	return func() { w.wanted = false }, func() { w.maybeRun = &off }
}

func (w *seqWorld) userStart() (known, unknown func()) {
	s, err := w.r.State(context.Background(), testCluster)
	w.must(err)
	var verdict error
	if s.KEK.Kind == envelope.KindCustomer {
		_, verdict = w.keys.verdict(s.KEK, s.KeyVersion)
	}
	err = w.r.Start(context.Background(), testCluster)
	if (err == nil) != (verdict == nil) || err != nil && !errors.Is(err, envelope.ErrRevoked) && !errors.Is(err, envelope.ErrUnavailable) {
		w.rt.Fatalf("start: %v; the vault says %v", err, verdict)
	}
	if err != nil {
		return nil, nil
	}
	on := true
	return func() { w.wanted = true }, func() { w.maybeRun = &on }
}

// reencryption begins one, or steers the one there is.
func (w *seqWorld) reencryption() {
	ctx := context.Background()
	var err error
	switch rapid.IntRange(0, 4).Draw(w.rt, "steer") {
	default:
		_, err = w.r.Reencrypt(ctx, testCluster, ReencryptionRequest{})
	case 1:
		_, err = w.r.PauseReencryption(ctx, testCluster, audit.Actor{})
	case 2:
		_, err = w.r.ResumeReencryption(ctx, testCluster, audit.Actor{})
	case 3:
		_, err = w.r.CancelReencryption(ctx, testCluster, audit.Actor{})
	}
	if err != nil && !errors.Is(err, ErrReencryptionState) && !errors.Is(err, ErrReencrypting) && !errors.Is(err, catalog.ErrNotFound) && (w.up || !errors.Is(err, ErrNotRunning)) {
		w.rt.Fatal(err)
	}
}

// underQuery lets a query stand open while a key goes or a child dies. It ends
// with every row there was, or with an error: never with a part of them.
func (w *seqWorld) underQuery() {
	t := w.some()
	meta, err := w.r.Table(context.Background(), testCluster, t.database, t.name)
	if err != nil {
		w.judge("a look at a table", t, err)
		return
	}
	open, err := w.query(t.database, meta.ID)
	if err != nil {
		if !errors.Is(err, ErrEngine) {
			w.judge("a query", t, err)
		}
		return
	}
	if rapid.Bool().Draw(w.rt, "kill") {
		w.killChildren()
	} else {
		w.revokeSome()
		w.r.ProbeNow(testCluster)
	}
	got, err := drain(open)
	if err == nil {
		w.compare(t, got)
	} else if !errors.Is(err, ErrEngine) && !errors.Is(err, ErrNotRunning) {
		w.rt.Fatalf("a query that stood open ended with %v", err)
	}
}

func (w *seqWorld) revokeUnderIngestion() {
	t := w.some()
	type batch struct {
		values []int64
		texts  []string
		err    error
	}
	batches := make([]batch, 3)
	for i := range batches {
		batches[i].values, batches[i].texts = w.values()
	}
	may := w.why(t) == nil
	var work sync.WaitGroup
	for i := range batches {
		work.Go(func() {
			batches[i].err = w.r.Ingest(context.Background(), testCluster, t.database, t.name, batchOf(oneColumn, batches[i].values...))
		})
	}
	w.revokeSome()
	w.r.ProbeNow(testCluster)
	work.Wait()
	for _, b := range batches {
		switch {
		case b.err == nil && !may:
			w.rt.Fatalf("ingestion into %s.%s was acknowledged, though %v", t.database, t.name, w.why(t))
		case b.err == nil:
			t.rows = append(t.rows, b.texts...)
		case !errors.Is(b.err, ErrEngine) && !errors.Is(b.err, ErrNotRunning):
			w.rt.Fatal(fmt.Errorf("ingestion while a key goes: %w", b.err))
		}
	}
}
