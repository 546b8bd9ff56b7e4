package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/envelope"
)

// Whatever happens in whatever order, a cluster with a hot tier answers with
// exactly the rows that there are.
func TestHotTierChangesNoAnswer(t *testing.T) {
	t.Parallel()
	var read uint64
	rounds := 0
	rapid.Check(t, func(rt *rapid.T) {
		if rounds++; rounds > 40 {
			return
		}
		ctx := context.Background()
		var ahead atomic.Int64
		w := hotWorld(t, HotPolicy{Bytes: rapid.SampledFrom([]int64{20_000, 60_000, 1 << 30}).Draw(rt, "budget"), Touches: 1, Window: time.Minute},
			func(c *Config) {
				c.Merge = MergePolicy{Extents: 3, Rows: 24}
				c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			})
		defer func() { w.r.Close() }()
		rows := map[string][]string{"T": nil, "U": nil}
		columns := []catalog.Column{{Name: "n", Type: catalog.Long}}
		_, err := w.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: "U", Columns: columns})
		w.must(err)
		w.must(w.r.SetTablePolicy(ctx, testCluster, "db", "U", catalog.PolicyRetention, []byte(`{"SoftDeletePeriod":"2.00:00:00"}`)))
		next := int64(0)
		table := func(rt *rapid.T) string { return rapid.SampledFrom([]string{"T", "U"}).Draw(rt, "table") }
		check := func() {
			for name := range rows {
				slices.Sort(rows[name])
				got, err := w.rows(name)
				for errors.Is(err, ErrEngine) {
					got, err = w.rows(name)
				}
				w.must(err)
				if diff := cmp.Diff(rows[name], got); diff != "" {
					rt.Fatalf("rows of %s (-acknowledged +answered):\n%s", name, diff)
				}
			}
			w.settled()
		}
		rt.Repeat(map[string]func(*rapid.T){
			"ingest": func(rt *rapid.T) {
				name := table(rt)
				for range rapid.IntRange(1, 8).Draw(rt, "rows") {
					next++
					if err := w.ingest(name, next); err == nil {
						rows[name] = append(rows[name], strconv.FormatInt(next, 10))
					} else if !errors.Is(err, ErrEngine) {
						rt.Fatal(err)
					}
				}
			},
			"seal":     func(rt *rapid.T) { w.seal(table(rt)) },
			"maintain": func(*rapid.T) { w.must(w.r.Maintain(ctx, testCluster)) },
			"kill": func(*rapid.T) {
				for _, c := range w.engine.alive() {
					c.Close()
				}
			},
			"re-encrypt": func(*rapid.T) {
				if _, err := w.r.Reencrypt(ctx, testCluster, ReencryptionRequest{}); err != nil && !errors.Is(err, ErrReencrypting) {
					rt.Fatal(err)
				}
			},
			"time goes by": func(*rapid.T) { ahead.Add(int64(2 * time.Minute)) },
			"rows are kept no longer": func(*rapid.T) {
				w.seal("U")
				ahead.Add(int64(50 * time.Hour))
				w.must(w.r.Maintain(ctx, testCluster))
				rows["U"] = nil
			},
			"restart": func(*rapid.T) {
				st := w.settled()
				read += st.Queries
				w.must(w.r.Close())
				w.reopen()
			},
			"revoke and restore": func(*rapid.T) {
				w.must(w.r.ChangeKEK(ctx, testCluster, envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://v.vault.azure.net", KeyName: "k"}))
				w.vault.set(errRevoked)
				w.r.ProbeNow(testCluster)
				w.await(Suspended)
				w.vault.set(nil)
				w.r.ProbeNow(testCluster)
				w.await(Running)
			},
			"add a column": func(rt *rapid.T) {
				meta := w.table(table(rt))
				next++
				meta.Columns = append(meta.Columns, catalog.Column{Name: fmt.Sprintf("x%d", next), Type: catalog.Long})
				_, err := w.r.AlterTable(ctx, testCluster, "db", meta)
				w.must(err)
			},
			"drop and make again": func(rt *rapid.T) {
				w.must(w.r.DropTable(ctx, testCluster, "db", "T"))
				_, err := w.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: "T", Columns: columns})
				w.must(err)
				rows["T"] = nil
			},
			"": func(*rapid.T) { check() },
		})
		read += w.settled().Queries
		if st := w.settled(); st.Bytes > st.Budget || w.tablesOf() != st.Tables {
			rt.Fatalf("at the end: %+v, %d tables in the child", st, w.tablesOf())
		}
	})
	t.Logf("%d queries read a hot table", read)
	if read == 0 {
		t.Fatal("no query read a hot table")
	}
}

// Queries, seals, merges and loads at once: each answer is one that was true.
func TestHotTierUnderConcurrency(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorldWith(t, func(c *Config) {
		c.Hot = HotPolicy{Bytes: 60_000, Touches: 1, Rows: 1}
		c.Merge = MergePolicy{Extents: 3, Rows: 400}
	})
	var acknowledged atomic.Int64
	stop := make(chan struct{})
	done := make(chan struct{}, 3)
	for range 3 {
		go func() {
			defer func() { done <- struct{}{} }()
			for {
				low := acknowledged.Load()
				got, err := w.rows("T")
				if err != nil {
					t.Error(err)
					return
				}
				seen := make(map[string]bool, len(got))
				for _, v := range got {
					seen[v] = true
				}
				if len(seen) != len(got) || int64(len(got)) < low {
					t.Errorf("%d rows, %d different ones, after %d were acknowledged", len(got), len(seen), low)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		}()
	}
	for i := range 60 {
		w.must(w.ingest("T", int64(i)))
		acknowledged.Store(int64(i + 1))
		if i%3 == 0 {
			w.seal("T")
		}
		if i%10 == 0 {
			w.must(w.r.Maintain(ctx, testCluster))
		}
	}
	close(stop)
	for range 3 {
		<-done
	}
	s, err := w.r.State(ctx, testCluster)
	w.must(err)
	t.Logf("%+v", s.Hot)
}
