//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/kustos-io/kustos/internal/engine"
)

// TestMain makes the test binary its own engine child.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "engine" {
		if os.Getenv(escapeVariable) != "" {
			escape()
			os.Exit(0)
		}
		if err := Main(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// launch starts a child that is closed with the test.
func launch(t testing.TB, cfg engine.Config) engine.Child {
	t.Helper()
	p := &engine.Process{Stderr: os.Stderr, Log: slog.New(slog.DiscardHandler)}
	child, err := p.Launch(context.Background(), cfg)
	if err != nil {
		t.Fatalf("launch: %v", err)
	}
	t.Cleanup(func() { child.Close() })
	return child
}

func memfd(t testing.TB) *os.File {
	t.Helper()
	f, err := engine.NewMemfd("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// all reads a result to its end, one line a row.
func all(t testing.TB, child engine.Child, s engine.Statement) ([]string, error) {
	t.Helper()
	rows, err := child.Query(context.Background(), s)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		b := rows.RecordBatch()
		for i := range int(b.NumRows()) {
			line := ""
			for c := range int(b.NumCols()) {
				if c > 0 {
					line += "|"
				}
				line += b.Column(c).ValueStr(i)
			}
			out = append(out, line)
		}
	}
	return out, rows.Err()
}

func itoa(n int) string { return strconv.Itoa(n) }

func asFault(err error, f **engine.Fault) bool { return errors.As(err, f) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func numbers(from, n int) arrow.RecordBatch {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "c1", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "c2", Type: arrow.BinaryTypes.String},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for i := range n {
		b.Field(0).(*array.Int64Builder).Append(int64(from + i))
		b.Field(1).(*array.StringBuilder).Append(fmt.Sprintf("row %d", from+i))
	}
	return b.NewRecordBatch()
}

func appendNumbers(t testing.TB, child engine.Child, buffer string, from, n int) {
	t.Helper()
	stream, err := engine.EncodeBatch(numbers(from, n))
	must(t, err)
	must(t, child.Append(context.Background(), buffer, stream))
}

var numberColumns = []engine.Column{{Name: "c1", Type: "BIGINT"}, {Name: "c2", Type: "VARCHAR", NotNull: true}}

func TestConfined(t *testing.T) {
	t.Parallel()
	child := launch(t, engine.Config{})
	info := child.Info()
	t.Logf("%+v", info)
	if !info.Confinement.Complete() {
		t.Logf("not every wall can stand on this system: %v", info.Confinement.Missing)
	}
	for _, sql := range []string{
		"SELECT count(*) FROM read_csv('/etc/passwd')",
		"SELECT * FROM read_text('/proc/self/environ')",
		"SELECT * FROM read_text('/proc/self/fd/../environ')",
		"SELECT * FROM glob('/*')",
		"COPY (SELECT 1) TO '/tmp/kustos-escape'",
		"ATTACH '/tmp/kustos-escape.db'",
		"INSTALL httpfs",
		"SET memory_limit='10GB'",
		"SET enable_external_access=true",
	} {
		if got, err := all(t, child, engine.Statement{SQL: sql}); err == nil {
			t.Errorf("%s: answered %v", sql, got)
		}
	}
}

func TestBufferExportAndExtent(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	child := launch(t, engine.Config{})
	must(t, child.CreateBuffer(ctx, "b_1", numberColumns))
	appendNumbers(t, child, "b_1", 0, 5000)
	appendNumbers(t, child, "b_1", 5000, 10)
	got, err := all(t, child, engine.Statement{SQL: `SELECT count(*), sum(c1)::BIGINT, max(c2) FROM "b_1"`})
	must(t, err)
	if want := "5010|12547545|row 999"; len(got) != 1 || got[0] != want {
		t.Fatalf("buffer holds %v, want %s", got, want)
	}

	out := memfd(t)
	n, err := child.Export(ctx, engine.Statement{SQL: `SELECT c1, c2 FROM "b_1" WHERE c1 < $1`, Params: []any{int64(3000)}}, out)
	must(t, err)
	if n != 3000 {
		t.Fatalf("exported %d rows", n)
	}
	must(t, engine.Seal(out))
	must(t, child.OpenExtent(ctx, "x", out))
	must(t, child.DropBuffer(ctx, "b_1"))
	got, err = all(t, child, engine.Statement{
		SQL: `SELECT c2 FROM read_parquet(['{{extent:x}}']) WHERE c1 = $1`, Params: []any{int64(2999)}, Extents: []string{"x"},
	})
	must(t, err)
	if len(got) != 1 || got[0] != "row 2999" {
		t.Fatalf("extent answers %v", got)
	}
	must(t, child.CloseExtent(ctx, "x"))
	if _, err := all(t, child, engine.Statement{SQL: `SELECT 1`, Extents: []string{"x"}}); err == nil {
		t.Fatal("a closed extent can be used")
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	child := launch(t, engine.Config{})
	for i := range 20 {
		ctx, cancel := context.WithCancel(context.Background())
		rows, err := child.Query(ctx, engine.Statement{SQL: "SELECT a.range FROM range(100000000) a, range(1000) b"})
		must(t, err)
		if !rows.Next() {
			t.Fatal(rows.Err())
		}
		start := time.Now()
		if i%2 == 0 {
			cancel()
			for rows.Next() {
			}
			if !errors.Is(rows.Err(), context.Canceled) {
				t.Fatalf("ended with %v", rows.Err())
			}
		}
		rows.Close()
		cancel()
		t.Logf("ended after %v", time.Since(start))
	}
	must(t, child.Ping(context.Background()))
}

func TestKilledChild(t *testing.T) {
	t.Parallel()
	child := launch(t, engine.Config{})
	rows, err := child.Query(context.Background(), engine.Statement{SQL: "SELECT a.range FROM range(100000000) a, range(1000) b"})
	must(t, err)
	if !rows.Next() {
		t.Fatal(rows.Err())
	}
	p, err := os.FindProcess(child.Info().PID)
	must(t, err)
	must(t, p.Kill())
	for rows.Next() {
	}
	if !errors.Is(rows.Err(), engine.ErrGone) {
		t.Fatalf("ended with %v", rows.Err())
	}
	rows.Close()
	<-child.Done()
	if err := child.Ping(context.Background()); !errors.Is(err, engine.ErrGone) {
		t.Fatalf("a dead child answers %v", err)
	}
}
