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
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/envelope"
	file "github.com/kustos-io/kustos/internal/extent"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/kql"
	"github.com/kustos-io/kustos/internal/kql/types"
)

var (
	taxRows = flag.Int("tax.rows", 200_000, "rows of the table of TestEncryptionTax; the published figures are those of 10000000")
	taxOnly = flag.String("tax.query", "", "only the queries of TestEncryptionTax whose name contains it")
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

// taxKQL is what a query is in KQL when a cluster runs more than one statement for
// it, "" for the others.
func taxKQL(q taxQuery) string {
	if q.name == "top 10, all columns" {
		return "T | sort by c5 desc, c1 asc | take 10"
	}
	return ""
}

// taxSchema is what a cluster knows of the table.
func taxSchema() (out []kql.Column) {
	for i, kind := range []types.Type{types.Long, types.String, types.String, types.String, types.Real, types.Int, types.String, types.String, types.Long, types.String, types.String, types.Bool} {
		name := fmt.Sprintf("c%d", i+1)
		out = append(out, kql.Column{Name: name, Type: kind, Physical: name})
	}
	return out
}

// taxForm is how the Parquet of an extent is kept.
type taxForm int

const (
	inClear taxForm = iota
	oneLayer
	twoLayers // of a doubly encrypted cluster
	taxForms
)

// taxExtent is the same Parquet file in clear and encrypted.
type taxExtent struct {
	plain   *os.File
	readers [taxForms]*file.Reader // none in clear
}

// What encryption costs a query: the same statements, two for the first rows of an
// order as a cluster runs them over many row groups, over the same Parquet in
// the same child, interleaved, over memfds that hold it in clear and decrypted on
// read from files of one layer and of two. First touch counts the opening of the
// extents too, eight at a time as the cluster does.
//
// At 10 million rows this takes two minutes and 4 GB; by default it only checks
// that all give the same rows.
func TestEncryptionTax(t *testing.T) {
	ctx := context.Background()
	before := runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + engine.RingServers()) // as the server does
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	child := launch(t, engine.Config{MemoryLimit: 3 << 30})
	const extents = 10
	var all []taxExtent
	var bytes int64
	var copying time.Duration
	var sealing [taxForms]time.Duration
	for i := range extents {
		per := *taxRows / extents
		began := time.Now()
		plain := memfd(t)
		_, err := child.Export(ctx, engine.Statement{SQL: fmt.Sprintf(taxRow, i*per, (i+1)*per)}, plain)
		must(t, err)
		copying += time.Since(began)
		e := taxExtent{plain: plain}
		var n int64
		for form, dek := range map[taxForm]envelope.DEK{oneLayer: envelope.NewDEK(), twoLayers: envelope.NewLayeredDEK()} {
			began = time.Now()
			e.readers[form], n = encrypted(t, plain, dek)
			sealing[form] += time.Since(began)
		}
		bytes += n
		all = append(all, e)
	}
	t.Logf("%d rows, %d MB of Parquet; COPY %.1f s", *taxRows, bytes>>20, copying.Seconds())
	for _, form := range []taxForm{oneLayer, twoLayers} {
		t.Logf("encrypted in %d, written and synced %.2f s more (%.0f MB/s), %.1f %% of COPY", form, sealing[form].Seconds(), float64(bytes)/1e6/sealing[form].Seconds(), 100*sealing[form].Seconds()/copying.Seconds())
	}
	one, two := newTaxTable("one layer"), newTaxTable("two layers")
	for _, q := range taxQueries(*taxRows) {
		if !strings.Contains(q.name, *taxOnly) {
			continue
		}
		var times [taxForms]taxTimes
		for run := range *taxRuns {
			var got [taxForms][]string
			for i := range taxForms { // in turn, so that none always comes after another
				form := (i + taxForm(run)) % taxForms
				before := work(t, child)
				o, release := openTax(t, child, all, fmt.Sprintf("%s.%d.%d", q.columns, form, run), form)
				got[form] = times[form].run(t, child, q, o, before)
				release()
			}
			for _, form := range []taxForm{oneLayer, twoLayers} {
				if diff := cmp.Diff(got[inClear], got[form]); diff != "" {
					t.Fatalf("%s (-clear +in %d layers):\n%s", q.name, form, diff)
				}
			}
		}
		chunks := columnBytes(t, child, all, q.columns)
		one.add(q.name, times[inClear], times[oneLayer], chunks)
		two.add(q.name, times[inClear], times[twoLayers], chunks)
	}
	for _, table := range []*taxTable{one, two} {
		for _, line := range table.end() {
			t.Log(line)
		}
	}
}

// taxTable is what encryption costs each query, and the geometric means.
type taxTable struct {
	lines []string
	means [3]float64
}

func newTaxTable(what string) *taxTable {
	return &taxTable{lines: []string{
		"| " + what + " | hot: clear | encrypted | ÷ | first touch: clear | encrypted | ÷ | processor ms: clear | encrypted | second: clear | encrypted | ÷ | MB decrypted | MB of its columns' chunks | ÷ |",
		"|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"}}
}

func (x *taxTable) add(name string, clear, lazy taxTimes, chunks int64) {
	h, f, s := ratio(lazy.hot, clear.hot), ratio(lazy.first, clear.first), ratio(lazy.second, clear.second)
	for i, r := range []float64{h, f, s} {
		x.means[i] += math.Log(r)
	}
	x.lines = append(x.lines, fmt.Sprintf("| %s | %s | %s | %.2f | %s | %s | %.2f | %s | %s | %s | %s | %.2f | %.1f | %.1f | %.2f |", name, ms(clear.hot), ms(lazy.hot), h, ms(clear.first), ms(lazy.first), f,
		lowest(clear.work), lowest(lazy.work), ms(clear.second), ms(lazy.second), s,
		float64(lazy.decrypted)/1e6, float64(chunks)/1e6, float64(lazy.decrypted)/float64(chunks)))
}

func (x *taxTable) end() []string {
	n := float64(len(x.lines) - 2)
	return append(x.lines, fmt.Sprintf("| geometric mean | | | %.2f | | | %.2f | | | | | %.2f | | | |", math.Exp(x.means[0]/n), math.Exp(x.means[1]/n), math.Exp(x.means[2]/n)))
}

// encrypted is an extent that holds a file, and the length of that.
func encrypted(t testing.TB, plain *os.File, dek envelope.DEK) (*file.Reader, int64) {
	t.Helper()
	info, err := plain.Stat()
	must(t, err)
	wrapped := envelope.WrappedDEK{Key: []byte("none")}
	if dek.Layered() {
		wrapped.Layer = []byte("none")
	}
	path := filepath.Join(t.TempDir(), "x.kxt")
	f, err := os.Create(path)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	header := file.Header{ExtentID: ids.NewGUID(), DatabaseID: ids.NewGUID(), KeyVersion: 1, WrappedDEK: wrapped, Length: info.Size()}
	must(t, file.Write(f, header, dek, io.NewSectionReader(plain, 0, info.Size())))
	must(t, f.Sync())
	written, err := f.Stat()
	must(t, err)
	parsed, err := file.Open(f, written.Size())
	must(t, err)
	reader, err := parsed.Reader(dek)
	must(t, err)
	return reader, info.Size()
}

type taxOpen struct {
	extents []taxExtent
	names   []string
	sparse  []*engine.Sparse // none in clear
	opened  time.Duration
}

// groups is what the footer of an extent says of columns.
func (o taxOpen) groups(t testing.TB, extent int, columns ...string) []engine.RowGroup {
	if o.sparse == nil {
		return footerGroups(t, o.extents[extent].plain, columns...)
	}
	return o.sparse[extent].RowGroups(columns...)
}

func (o taxOpen) decrypted() (n int64) {
	for _, s := range o.sparse {
		n += s.Decrypted()
	}
	return n
}

func openTax(t *testing.T, child engine.Child, all []taxExtent, prefix string, form taxForm) (o taxOpen, release func()) {
	t.Helper()
	ctx := context.Background()
	began := time.Now()
	o.extents, o.names = all, make([]string, len(all))
	if form != inClear {
		o.sparse = make([]*engine.Sparse, len(all))
	}
	var group errgroup.Group
	group.SetLimit(8)
	for i, e := range all {
		o.names[i] = fmt.Sprintf("%s.%d", prefix, i)
		group.Go(func() (err error) {
			if form == inClear {
				return child.OpenExtent(ctx, o.names[i], e.plain)
			}
			if o.sparse[i], err = engine.NewSparse(e.readers[form]); err != nil {
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
		sum += processorTime(t, pid)
	}
	return sum
}

// taxTimes is how long the runs of a query took.
type taxTimes struct {
	first, second, hot []time.Duration
	work               []time.Duration // processor time of first touch
	decrypted          int64           // bytes, by first touch
}

// run runs a query five times over extents that were just opened: the first is
// first touch, the third keeps what it reads, the better of the last two is hot.
// before is the processor time used before they were opened.
func (d *taxTimes) run(t *testing.T, child engine.Child, q taxQuery, o taxOpen, before time.Duration) (rows []string) {
	t.Helper()
	st := engine.Statement{SQL: strings.Replace(q.sql, " T", " read_parquet(["+placeholders(o.names)+"])", 1), Extents: o.names}
	ask := func() ([]string, error) { return all(t, child, st) }
	if text := taxKQL(q); text != "" {
		groups := func(file int, columns ...string) []engine.RowGroup { return o.groups(t, file, columns...) }
		table := []topPart{{list: "c1,c2,c3,c4,c5,c6,c7,c8,c9,c10,c11,c12", files: o.names, groups: groups}}
		ask = func() ([]string, error) { return runTop(t, child, text, taxSchema(), table, true) }
	}
	var took []time.Duration
	for i := range 5 {
		began := time.Now()
		got, err := ask()
		must(t, err)
		took = append(took, time.Since(began))
		rows = got
		if i == 0 {
			d.work = append(d.work, work(t, child)-before)
			d.decrypted = o.decrypted()
		}
	}
	d.first, d.second, d.hot = append(d.first, took[0]+o.opened), append(d.second, took[1]), append(d.hot, min(took[3], took[4]))
	return rows
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
	o, release := openTax(t, child, extents, "m", inClear)
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

// lowest is what a run takes that nobody disturbs.
func lowest(d []time.Duration) string {
	return fmt.Sprintf("%.1f", float64(slices.Min(d).Microseconds())/1000)
}
