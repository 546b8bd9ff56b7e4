package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/wal"
)

// Whatever byte of whichever log segment changes at whatever moment: a database
// answers with every acknowledged row or is closed because of its log, the
// cluster runs, and when the byte is as it was every row is there.
func TestAcknowledgedRowsWithDamagedLogs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		ctx := context.Background()
		w := newTwoWorld(t)
		defer func() { w.r.Close() }()
		rows := map[string][]string{"own": {"1", "2"}, "db": {"7"}}
		tables, databases := map[string]string{}, map[string]string{}
		for name := range rows {
			meta, err := w.r.Table(ctx, testCluster, name, "T")
			w.must(err)
			tables[name], databases[name] = meta.ID, meta.DatabaseID
		}
		spoilt := map[string]func(){}
		next := int64(100)
		some := func() string { return rapid.SampledFrom([]string{"db", "own"}).Draw(rt, "database") }
		refused := func(name string, err error) bool {
			var damaged *LogError
			return errors.As(err, &damaged) && damaged.Database == name && spoilt[name] != nil
		}
		ask := func(name string) (got []string, err error) {
			for {
				open, err := w.query(name, tables[name])
				if err == nil {
					got, err = drain(open)
				}
				if !errors.Is(err, ErrEngine) { // the child is being replaced
					return got, err
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"ingest": func(*rapid.T) {
				next++
				name := some()
				err := w.r.Ingest(ctx, testCluster, name, "T", batchOf(oneColumn, next))
				if err == nil {
					rows[name] = append(rows[name], strconv.FormatInt(next, 10))
				} else if !errors.Is(err, ErrEngine) && !refused(name, err) {
					rt.Fatalf("ingestion into %s: %v", name, err)
				}
			},
			"seal": func(*rapid.T) {
				if live, err := w.session().table(some(), "T"); err == nil {
					_ = live.seal(ctx) // may meet a dead child
				}
			},
			"maintain": func(*rapid.T) { _ = w.r.Maintain(ctx, testCluster) }, // as above
			"kill": func(*rapid.T) {
				for _, c := range w.engine.alive() {
					c.Close()
				}
			},
			"crash":   func(*rapid.T) { w.r.crash(); w.reopen() },
			"restart": func(*rapid.T) { w.must(w.r.Close()); w.reopen() },
			"spoil": func(*rapid.T) {
				name := some()
				if spoilt[name] != nil { // two bytes of one header may hide whose it is
					return
				}
				all, _, err := wal.List(filepath.Join(w.dir, "clusters", testCluster, "wal"))
				w.must(err)
				all = slices.DeleteFunc(all, func(s wal.Segment) bool { return s.DatabaseID != databases[name] })
				if len(all) == 0 {
					return
				}
				s := rapid.SampledFrom(all).Draw(rt, "segment")
				at := rapid.Int64Range(0, s.Size-1).Draw(rt, "at")
				restore := w.spoil(s.Path, at)
				spoilt[name] = func() {
					if _, err := os.Stat(s.Path); err == nil { // else its rows are in extents
						restore()
					}
				}
			},
			"mend": func(*rapid.T) {
				name := some()
				if spoilt[name] == nil {
					return
				}
				spoilt[name]()
				if rapid.Bool().Draw(rt, "restart") {
					w.r.crash()
					w.reopen()
				}
				for {
					w.r.ProbeNow(testCluster)
					if _, err := ask(name); !refused(name, err) {
						break
					}
					<-time.After(time.Millisecond)
				}
				delete(spoilt, name)
			},
			"": func(*rapid.T) {
				for name := range rows {
					slices.Sort(rows[name])
					got, err := ask(name)
					if refused(name, err) {
						continue
					}
					w.must(err)
					if diff := gocmp.Diff(rows[name], got); diff != "" {
						rt.Fatalf("rows of %s (-acknowledged +answered):\n%s", name, diff)
					}
				}
			},
		})
	})
}
