package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/envelope"
)

// Whatever happens in whatever order, a running cluster answers with exactly
// the rows it acknowledged, each once.
func TestAcknowledgedRowsThroughAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		ctx := context.Background()
		w := newWorldOf(t, rapid.Bool().Draw(rt, "double encryption"))
		defer func() { w.r.Close() }()
		w.must(w.r.ChangeKEK(ctx, testCluster, envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://v.vault.azure.net", KeyName: "k"}))
		_, err := w.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: "U", Columns: []catalog.Column{{Name: "n", Type: catalog.Long}}})
		w.must(err)
		rows := map[string][]string{"T": nil, "U": nil}
		next := int64(0)
		table := func() string { return rapid.SampledFrom([]string{"T", "U"}).Draw(rt, "table") }
		check := func() {
			for name := range rows {
				slices.Sort(rows[name])
				for {
					got, err := w.rows(name)
					if errors.Is(err, ErrEngine) {
						continue // the child is being replaced
					}
					w.must(err)
					if diff := cmp.Diff(rows[name], got); diff != "" {
						rt.Fatalf("rows of %s (-acknowledged +answered):\n%s", name, diff)
					}
					break
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"ingest": func(rt *rapid.T) {
				name := table()
				var values []int64
				for range rapid.IntRange(1, 3).Draw(rt, "rows") {
					next++
					values = append(values, next)
				}
				if err := w.ingest(name, values...); errors.Is(err, ErrEngine) {
					return // refused: must not come back
				} else if err != nil {
					rt.Fatal(err)
				}
				for _, v := range values {
					rows[name] = append(rows[name], strconv.FormatInt(v, 10))
				}
			},
			"seal": func(rt *rapid.T) {
				n, err := w.r.node(ctx, testCluster)
				w.must(err)
				s, err := n.running()
				w.must(err)
				live, err := s.table("db", table())
				w.must(err)
				_ = live.seal(ctx) // may meet a dead child
			},
			"kill": func(*rapid.T) {
				for _, c := range w.engine.alive() {
					c.Close()
				}
			},
			"crash": func(*rapid.T) { w.r.crash(); w.reopen() },
			"restart": func(*rapid.T) {
				w.must(w.r.Close())
				w.reopen()
			},
			"stop and start": func(*rapid.T) {
				w.must(w.r.Stop(ctx, testCluster))
				w.must(w.r.Start(ctx, testCluster))
			},
			"revoke and restore": func(*rapid.T) {
				if w.ours() {
					return // the platform's key cannot be taken away
				}
				w.vault.set(errRevoked)
				w.r.ProbeNow(testCluster)
				w.await(Suspended)
				w.vault.set(nil)
				w.r.ProbeNow(testCluster)
				w.await(Running)
			},
			"rotate": func(*rapid.T) {
				next++
				w.vault.mu.Lock()
				w.vault.newest = strconv.FormatInt(next, 10)
				w.vault.mu.Unlock()
				n, err := w.r.node(ctx, testCluster)
				w.must(err)
				n.probe() // follows, when the key is a customer's
			},
			"switch": func(rt *rapid.T) {
				kek := envelope.PlatformKEK()
				if name := rapid.SampledFrom([]string{"", "k", "l"}).Draw(rt, "key"); name != "" {
					kek = envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://v.vault.azure.net", KeyName: name, Identity: envelope.Identity{ObjectID: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "identity")}}
				}
				w.must(w.r.ChangeKEK(ctx, testCluster, kek))
			},
			"switch in vain": func(*rapid.T) {
				before, err := w.r.State(ctx, testCluster)
				w.must(err)
				w.vault.set(errUnavailable)
				err = w.r.ChangeKEK(ctx, testCluster, envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://other.vault.azure.net", KeyName: "k"})
				w.vault.set(nil)
				after, stateErr := w.r.State(ctx, testCluster)
				w.must(stateErr)
				if err == nil || after.KEK != before.KEK || after.KeyVersion != before.KeyVersion {
					rt.Fatalf("a change that failed (%v) left %+v, before %+v", err, after, before)
				}
			},
			"crash while revoked": func(rt *rapid.T) {
				if w.ours() {
					return
				}
				w.vault.set(errRevoked)
				w.r.ProbeNow(testCluster)
				w.await(Suspended)
				batch := batchOf(catalog.Table{Columns: []catalog.Column{{ID: 1, Type: catalog.Long}}}, 0)
				if err := w.r.Ingest(ctx, testCluster, "db", table(), batch); !errors.Is(err, ErrNotRunning) {
					rt.Fatalf("ingestion while the key is away: %v", err)
				}
				w.r.crash()
				w.open()
				w.await(Suspended)
				w.vault.set(nil)
				w.r.ProbeNow(testCluster)
				w.await(Running)
			},
			"add a column": func(rt *rapid.T) {
				meta := w.table(table())
				next++
				meta.Columns = append(meta.Columns, catalog.Column{Name: fmt.Sprintf("x%d", next), Type: catalog.Long})
				_, err := w.r.AlterTable(ctx, testCluster, "db", meta)
				w.must(err)
			},
			"drop and make again": func(rt *rapid.T) {
				name := table()
				w.must(w.r.DropTable(ctx, testCluster, "db", name))
				_, err := w.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: name, Columns: []catalog.Column{{Name: "n", Type: catalog.Long}}})
				w.must(err)
				rows[name] = nil
			},
			"": func(*rapid.T) { check() },
		})
	})
}

// ours reports whether the cluster is under the platform's key.
func (w *world) ours() bool {
	w.t.Helper()
	state, err := w.r.State(context.Background(), testCluster)
	w.must(err)
	return state.KEK.Kind == envelope.KindPlatform
}

// Many at once: ingestions, seals, queries, and a child that dies again and
// again. What was acknowledged is there once; what was refused is not.
func TestConcurrentIngestion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	meta := w.table("T")
	var next atomic.Int64
	var mu sync.Mutex
	var acknowledged []string
	stop := make(chan struct{})
	var chaos, ingesters sync.WaitGroup
	chaos.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			n, _ := w.r.node(context.Background(), testCluster)
			if s, err := n.running(); err == nil {
				if live, err := s.table("db", "T"); err == nil {
					_ = live.seal(context.Background())
				}
			}
			if i%3 == 0 {
				for _, c := range w.engine.alive() {
					c.Close()
				}
			}
			_, _ = w.rows("T")
		}
	})
	for range 6 {
		ingesters.Go(func() {
			for range 60 {
				v := next.Add(1)
				err := w.r.Ingest(context.Background(), testCluster, "db", "T", batchOf(meta, v))
				switch {
				case err == nil:
					mu.Lock()
					acknowledged = append(acknowledged, strconv.FormatInt(v, 10))
					mu.Unlock()
				case !errors.Is(err, ErrEngine):
					t.Error(err)
				}
			}
		})
	}
	ingesters.Wait()
	close(stop)
	chaos.Wait()
	slices.Sort(acknowledged)
	w.eventually("T", acknowledged...)
	w.r.crash()
	w.reopen()
	w.want("T", acknowledged...)
}
