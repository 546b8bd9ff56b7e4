package crash_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/test/harness"
)

var runs = flag.Int("crash.runs", 5, "how often to kill the server; docs/benchmarks.md records a run of 500")

func TestMain(m *testing.M) {
	if os.Getenv(execVariable) != "" {
		launch()
	}
	flag.Parse()
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

// writers ingest concurrently: half of them by streaming, half by command.
const (
	writers      = 4
	rowsPerBatch = 10
)

// acked collects the ids of rows whose ingestion was acknowledged.
type acked struct {
	mu   sync.Mutex
	ids  map[int]bool
	stop context.CancelFunc
	goal int
}

func (a *acked) add(ids []int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		a.ids[id] = true
	}
	if len(a.ids) >= a.goal {
		a.stop()
	}
}

func TestKillDuringIngestion(t *testing.T) {
	inst := harness.New(t)
	c := harness.Start(t, inst)
	uri, _ := harness.Cluster(t, c, "crash", "db")
	harness.Command(t, c, uri, "db", ".create table T (Id:long, Text:string)", `.alter table T policy streamingingestion '{"IsEnabled": true}'`)
	have := &acked{ids: map[int]bool{}}
	next := 0
	for run := range *runs {
		ctx, stop := context.WithCancel(t.Context())
		have.stop, have.goal = stop, len(have.ids)+50+rand.IntN(400)
		var wg sync.WaitGroup
		for w := range writers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				write(ctx, c, uri, w%2 == 0, next+w*1_000_000, have)
			}()
		}
		<-ctx.Done() // enough rows are acknowledged, and more are under way
		if err := inst.Kill(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		next += writers * 1_000_000
		c = harness.Start(t, inst)
		missing, total := lost(t, c, uri, have)
		if len(missing) > 0 {
			t.Fatalf("run %d: %d of %d acknowledged rows are gone, for example %v", run+1, len(missing), len(have.ids), missing[:min(5, len(missing))])
		}
		t.Logf("run %d: %d rows acknowledged, %d there", run+1, len(have.ids), total)
	}
}

// write ingests batches until ctx ends or the server is gone.
func write(ctx context.Context, c *client.Client, uri string, stream bool, first int, have *acked) {
	for id := first; ctx.Err() == nil; id += rowsPerBatch {
		var body strings.Builder
		ids := make([]int, rowsPerBatch)
		for i := range ids {
			ids[i] = id + i
			fmt.Fprintf(&body, "%d,row %d\n", id+i, id+i)
		}
		var err error
		// The request itself is not cancelled: an answer that comes late still counts.
		if stream {
			err = c.Stream(context.WithoutCancel(ctx), uri, "db", "T", "csv", []byte(body.String()))
		} else {
			_, err = c.Query(context.WithoutCancel(ctx), uri, "db", ".ingest inline into table T <|\n"+body.String())
		}
		if err != nil {
			return
		}
		have.add(ids)
	}
}

// lost lists the acknowledged ids that a query does not find, and checks that
// no row is there twice.
func lost(t *testing.T, c *client.Client, uri string, have *acked) (missing []int, total int) {
	t.Helper()
	rows := answer(t, c, uri, "db", "set notruncation; T | project Id")
	there := map[int]bool{}
	for _, r := range rows {
		id := int(r[0].(float64))
		if there[id] {
			t.Errorf("row %d is there twice", id)
		}
		there[id] = true
	}
	for id := range have.ids {
		if !there[id] {
			missing = append(missing, id)
		}
	}
	return missing, len(rows)
}

// answer asks a cluster that was just started: while it replays a long log it
// refuses with 412, for the reason that it is not running.
func answer(t *testing.T, c *client.Client, uri, database, text string) [][]any {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); ; {
		rows, err := c.Query(t.Context(), uri, database, text)
		if err == nil {
			return rows
		}
		var refused *client.RefusedError
		if !errors.As(err, &refused) || refused.Status != http.StatusPreconditionFailed || !strings.Contains(refused.Message, "not running") {
			t.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal(err)
		}
	}
}
