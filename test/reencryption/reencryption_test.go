package reencryption_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/test/harness"
)

var (
	extents = flag.Int("reencryption.extents", 3, "how many extents there are; docs/benchmarks.md records 20")
	rows    = flag.Int("reencryption.rows", 20_000, "rows of each; docs/benchmarks.md records 500000")
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

const (
	api  = "2023-08-15"
	name = "reenc9"
)

type status struct {
	State, Reason          string
	ExtentsDone, BytesDone int64
	StartTime, EndTime     time.Time
}

func TestReencryptionBesideQueries(t *testing.T) {
	inst := harness.New(t, "--control", "127.0.0.1:0")
	c := harness.Start(t, inst)
	uri, _ := harness.Cluster(t, c, name, "db")
	ctx := t.Context()
	for i := range *extents {
		text := fmt.Sprintf(".set-or-append T <| range Id from %d to %d step 1 | extend R=rand(), S=strcat('row ', tostring(rand())), D=datetime(2026-01-01) + Id * 1s", i**rows, (i+1)**rows-1)
		if _, err := c.Query(ctx, uri, "db", text); err != nil {
			t.Fatal(err)
		}
	}
	alone := run(t, c, nil)
	t.Logf("by itself: %s", speed(alone))

	calm := latencies(t, c, uri, 40)
	t.Logf("queries without it: %s", spread(calm))
	var beside []time.Duration
	second := run(t, c, func() { beside = append(beside, latencies(t, c, uri, 1)...) })
	t.Logf("beside queries: %s", speed(second))
	t.Logf("queries beside it: %s", spread(beside))
	if second.BytesDone == 0 || second.ExtentsDone != int64(*extents) {
		t.Errorf("it ended as %+v", second)
	}
}

// run re-encrypts everything; while it works, beside is called again and again.
func run(t *testing.T, c *client.Client, beside func()) (s status) {
	t.Helper()
	path := harness.GroupPath(c) + "/providers/Microsoft.Kusto/clusters/" + name + "/kustosReencrypt"
	if err := c.Send(t.Context(), http.MethodPost, path, api, nil, &s); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for s.State != "Done" {
		if s.State != "Running" {
			t.Fatalf("it is %+v", s)
		}
		if beside != nil {
			beside()
		} else {
			<-tick.C
		}
		s = status{}
		if err := c.Send(t.Context(), http.MethodGet, path, api, nil, &s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func speed(s status) string {
	took := s.EndTime.Sub(s.StartTime)
	return fmt.Sprintf("%d extents, %d MB in %s, %.0f MB/s", s.ExtentsDone, s.BytesDone>>20, took.Round(time.Millisecond), float64(s.BytesDone)/1e6/took.Seconds())
}

// latencies asks n queries one after the other and checks their answers.
func latencies(t *testing.T, c *client.Client, uri string, n int) (out []time.Duration) {
	t.Helper()
	want := fmt.Sprint([][]any{{float64(*extents * *rows), float64(*extents**rows - 1)}}) // JSON has no integers
	for range n {
		began := time.Now()
		got, err := c.Query(context.WithoutCancel(t.Context()), uri, "db", "T | where R >= 0 | summarize count(), max(Id)")
		if err != nil || fmt.Sprint(got) != want {
			t.Fatalf("%v, not %s, %v", got, want, err)
		}
		out = append(out, time.Since(began))
	}
	return out
}

func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "none"
	}
	slices.Sort(all)
	return fmt.Sprintf("median %s, %s to %s, of %d", all[len(all)/2].Round(time.Millisecond), all[0].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond), len(all))
}
