//go:build cgo

package duckdb

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"golang.org/x/sys/unix"

	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/envelope"
	file "github.com/kustos-io/kustos/internal/extent"
	"github.com/kustos-io/kustos/internal/ids"
)

var (
	taxRows = flag.Int("tax.rows", 200_000, "rows of the table of TestEncryptionTax; the published figures are those of 10000000")
	taxRuns = flag.Int("tax.runs", 3, "runs of each query of TestEncryptionTax, of which the median counts")
)

// taxRow makes a log table of 12 columns: time in order, names, numbers, text.
const taxRow = `SELECT i AS c1, 'service-' || (hash(i) %% 40) AS c2, ['info','warn','error','debug'][1 + (hash(i+1) %% 4)::INT] AS c3,
 'host-' || (hash(i+2) %% 500) AS c4, (hash(i+3) %% 1000000) / 997.0 AS c5, (200 + hash(i+4) %% 300)::INTEGER AS c6,
 'request ' || (hash(i+5) %% 100000) || ' to /api/v1/items/' || (hash(i+6) %% 5000) || ' took ' || (hash(i+7) %% 3000) || ' ms' AS c7,
 md5(i::VARCHAR) AS c8, (hash(i+8) // 2)::BIGINT AS c9, 'user-' || (hash(i+9) %% 200000) AS c10, 'region-' || (hash(i+10) %% 12) AS c11, hash(i+11) %% 2 = 0 AS c12
 FROM range(%d, %d) r(i)`

type taxQuery struct{ name, columns, sql string }

func taxQueries(rows int) []taxQuery {
	return []taxQuery{
		{"count by service", "c2", "SELECT c2, count(*) FROM T GROUP BY 1 ORDER BY 1"},
		{"contains", "c7", "SELECT count(*) FROM T WHERE contains(c7, 'items/4711 ')"},
		{"pctl by bin", "c1,c5", fmt.Sprintf("SELECT c1 // %d, quantile_cont(c5, 0.95) FROM T GROUP BY 1 ORDER BY 1", max(1, rows/50))},
		{"top 10, all columns", "c1,c2,c3,c4,c5,c6,c7,c8,c9,c10,c11,c12", "SELECT * FROM T ORDER BY c5 DESC, c1 LIMIT 10"},
		{"dcount", "c10", "SELECT approx_count_distinct(c10) FROM T"},
		{"1 % range", "c1,c5", fmt.Sprintf("SELECT count(*), sum(c6) FROM T WHERE c1 BETWEEN %d AND %d", rows/2, rows/2+rows/100)},
		{"needle", "c1,c9", fmt.Sprintf("SELECT c1, c2 FROM T WHERE c9 = (hash(%d) // 2)::BIGINT", rows/3+8)},
	}
}

// taxExtent is the same Parquet file in clear and encrypted.
type taxExtent struct {
	plain  *os.File
	reader *file.Reader
}

// What encryption costs a query: the same statements over the same Parquet in
// the same child, interleaved, once over memfds that hold it in clear and once
// decrypted on read. First touch counts the opening of the extents too, two at
// a time as the cluster does.
//
// At 10 million rows this takes a minute and 3 GB; by default it only checks
// that both give the same rows.
func TestEncryptionTax(t *testing.T) {
	ctx := context.Background()
	child := launch(t, engine.Config{MemoryLimit: 3 << 30})
	const extents = 10
	var all []taxExtent
	var bytes int64
	var copying, sealing time.Duration
	for i := range extents {
		per := *taxRows / extents
		began := time.Now()
		plain := memfd(t)
		_, err := child.Export(ctx, engine.Statement{SQL: fmt.Sprintf(taxRow, i*per, (i+1)*per)}, plain)
		must(t, err)
		copying += time.Since(began)
		began = time.Now()
		e, n := encrypted(t, plain)
		sealing += time.Since(began)
		bytes += n
		all = append(all, e)
	}
	t.Logf("%d rows, %d MB of Parquet; COPY %.1f s, encrypted, written and synced %.2f s more (%.0f MB/s), %.1f %% of COPY", *taxRows, bytes>>20, copying.Seconds(),
		sealing.Seconds(), float64(bytes)/1e6/sealing.Seconds(), 100*sealing.Seconds()/copying.Seconds())

	hotTax, firstTax := 0.0, 0.0
	queries := taxQueries(*taxRows)
	t.Log("| Query | hot: clear | encrypted | ÷ | first touch: clear | encrypted | ÷ | MB decrypted | MB of its columns' chunks | ÷ |")
	t.Log("|---|---|---|---|---|---|---|---|---|---|")
	for _, q := range queries {
		var plainFirst, plainHot, first, hot, plainWork, lazyWork []time.Duration
		var decrypted int64
		var want, got []string
		clear := func(run int) {
			before := work(t, child)
			defer func() { plainWork = append(plainWork, work(t, child)-before) }()
			ids, release := openTax(t, child, all, fmt.Sprintf("p%d", run), false)
			defer release()
			rows, a, b := timeTax(t, child, q, ids.names, ids.opened)
			want, plainFirst, plainHot = rows, append(plainFirst, a), append(plainHot, b)
		}
		lazily := func(run int) {
			before := work(t, child)
			defer func() { lazyWork = append(lazyWork, work(t, child)-before) }()
			ids, release := openTax(t, child, all, fmt.Sprintf("e%d", run), true)
			defer release()
			rows, a, b := timeTax(t, child, q, ids.names, ids.opened)
			got, first, hot, decrypted = rows, append(first, a), append(hot, b), ids.decrypted()
		}
		for run := range *taxRuns {
			if run%2 == 0 { // in turn, so that neither always comes after the other
				clear(run)
				lazily(run)
			} else {
				lazily(run)
				clear(run)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s (-plain +encrypted):\n%s", q.name, diff)
			}
		}
		h, f := ratio(hot, plainHot), ratio(first, plainFirst)
		hotTax += math.Log(h)
		firstTax += math.Log(f)
		chunks := columnBytes(t, child, all, q.columns)
		extra := median(lazyWork) - median(plainWork)
		t.Logf("%s: %d ms more of processor time, beside %d ms, for one first touch and two hot runs", q.name, extra.Milliseconds(), median(plainWork).Milliseconds())
		t.Logf("| %s | %s | %s | %.2f | %s | %s | %.2f | %.1f | %.1f | %.2f |", q.name, ms(plainHot), ms(hot), h, ms(plainFirst), ms(first), f,
			float64(decrypted)/1e6, float64(chunks)/1e6, float64(decrypted)/float64(chunks))
	}
	n := float64(len(queries))
	t.Logf("| geometric mean | | | %.2f | | | %.2f | | | |", math.Exp(hotTax/n), math.Exp(firstTax/n))
}

func encrypted(t *testing.T, plain *os.File) (taxExtent, int64) {
	t.Helper()
	info, err := plain.Stat()
	must(t, err)
	dek := envelope.NewDEK()
	path := filepath.Join(t.TempDir(), "x.kxt")
	f, err := os.Create(path)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	header := file.Header{ExtentID: ids.NewGUID(), DatabaseID: ids.NewGUID(), KeyVersion: 1, WrappedDEK: envelope.WrappedDEK{Key: []byte("none")}, Length: info.Size()}
	must(t, file.Write(f, header, dek, io.NewSectionReader(plain, 0, info.Size())))
	must(t, f.Sync())
	written, err := f.Stat()
	must(t, err)
	parsed, err := file.Open(f, written.Size())
	must(t, err)
	reader, err := parsed.Reader(dek)
	must(t, err)
	return taxExtent{plain, reader}, info.Size()
}

type taxOpen struct {
	names  []string
	sparse []*engine.Sparse
	opened time.Duration
}

func (o taxOpen) decrypted() (n int64) {
	for _, s := range o.sparse {
		n += s.Decrypted()
	}
	return n
}

func openTax(t *testing.T, child engine.Child, all []taxExtent, prefix string, lazily bool) (o taxOpen, release func()) {
	t.Helper()
	ctx := context.Background()
	began := time.Now()
	o.names = make([]string, len(all))
	if lazily {
		o.sparse = make([]*engine.Sparse, len(all))
	}
	var group errgroup.Group
	group.SetLimit(2)
	for i, e := range all {
		o.names[i] = fmt.Sprintf("%s.%d", prefix, i)
		group.Go(func() (err error) {
			if !lazily {
				return child.OpenExtent(ctx, o.names[i], e.plain)
			}
			if o.sparse[i], err = engine.NewSparse(e.reader); err != nil {
				return err
			}
			return child.OpenSparse(ctx, o.names[i], o.sparse[i], nil)
		})
	}
	must(t, group.Wait())
	o.opened = time.Since(began)
	return o, func() {
		for _, name := range o.names {
			must(t, child.CloseExtent(ctx, name))
		}
		for _, s := range o.sparse {
			s.Close()
		}
	}
}

// work is the processor time that this process and the child have used.
func work(t *testing.T, child engine.Child) (sum time.Duration) {
	t.Helper()
	for _, pid := range []int{os.Getpid(), child.Info().PID} {
		var now unix.Timespec
		must(t, unix.ClockGettime(int32(^pid<<3|2), &now)) // the kernel's name of a process's clock
		sum += time.Duration(now.Nano())
	}
	return sum
}

// timeTax runs a query three times: the first is first touch, the better of the
// others is hot.
func timeTax(t *testing.T, child engine.Child, q taxQuery, names []string, opened time.Duration) (rows []string, first, hot time.Duration) {
	t.Helper()
	st := engine.Statement{SQL: strings.Replace(q.sql, " T", " read_parquet(["+placeholders(names)+"])", 1), Extents: names}
	var took []time.Duration
	for range 3 {
		began := time.Now()
		got, err := all(t, child, st)
		must(t, err)
		took = append(took, time.Since(began))
		rows = got
	}
	return rows, took[0] + opened, min(took[1], took[2])
}

func placeholders(names []string) string {
	files := make([]string, len(names))
	for i, n := range names {
		files[i] = "'{{extent:" + n + "}}'"
	}
	return strings.Join(files, ",")
}

// columnBytes is how many bytes the chunks of these columns have.
func columnBytes(t *testing.T, child engine.Child, extents []taxExtent, columns string) (n int64) {
	t.Helper()
	o, release := openTax(t, child, extents, "m", false)
	defer release()
	list := "'" + strings.ReplaceAll(columns, ",", "','") + "'"
	got, err := all(t, child, engine.Statement{
		SQL:     "SELECT sum(total_compressed_size)::BIGINT FROM parquet_metadata([" + placeholders(o.names) + "]) WHERE path_in_schema IN (" + list + ")",
		Extents: o.names,
	})
	must(t, err)
	_, err = fmt.Sscan(got[0], &n)
	must(t, err)
	return n
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

func ratio(a, b []time.Duration) float64 { return float64(median(a)) / float64(median(b)) }

func ms(d []time.Duration) string { return fmt.Sprintf("%.1f", float64(median(d).Microseconds())/1000) }
