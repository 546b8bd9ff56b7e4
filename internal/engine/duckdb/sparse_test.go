//go:build cgo

package duckdb

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/envelope"
)

// pattern is a source whose every 8 bytes say where they are, and of which source.
type pattern struct {
	size   int64
	salt   uint64
	chunk  int
	refuse atomic.Int64 // this chunk does not verify, -1 none
}

func (p *pattern) Size() int64    { return p.size }
func (p *pattern) ChunkSize() int { return p.chunk }

func (p *pattern) Chunks(first, last int64, use func(int64, []byte) error) error {
	buf := make([]byte, p.chunk)
	for i := first; i <= last; i++ {
		if i == p.refuse.Load() {
			return aead.ErrAuthentication
		}
		n := min(p.size-i*int64(p.chunk), int64(p.chunk))
		for at := int64(0); at < n; at += 8 {
			binary.BigEndian.PutUint64(buf[at:], uint64(i*int64(p.chunk)+at)|1<<63^p.salt<<48)
		}
		if err := use(i, buf[:n]); err != nil {
			return err
		}
	}
	return nil
}

func (p *pattern) wrongAt(got []byte, off int64) int {
	for at := 0; at+8 <= len(got); at += 8 {
		if binary.BigEndian.Uint64(got[at:]) != uint64(off+int64(at))|1<<63^p.salt<<48 {
			return at
		}
	}
	return -1
}

// This process is parent and child at once: readers go through the hook while
// others take the chunks away under their hands. No read may see a hole.
func TestEvictionUnderReaders(t *testing.T) {
	const chunk, readers, reads = 16 << 10, 4, 20_000
	source := &pattern{size: 4<<20 + 4096, chunk: chunk}
	source.refuse.Store(-1)
	s, err := engine.NewSparse(source)
	must(t, err)
	defer s.Close()
	ring, err := engine.NewRing(2)
	must(t, err)
	defer ring.Close()
	must(t, hookRing(ring.File()))
	data, ready := s.Files()
	index := ring.Attach(s, nil)
	must(t, hook(data, ready, engine.SparseInfo{Index: index, Shift: 14, Size: source.size}))
	defer unhook(data)

	var evictors, work sync.WaitGroup
	var stop atomic.Bool
	evictions := 0
	evictors.Go(func() {
		for !stop.Load() {
			if _, err := s.Evict(1, 0); err != nil {
				t.Error(err)
				return
			}
			evictions++
		}
	})
	before := hookRepeats()
	for r := range readers {
		work.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(r), 7))
			buf := make([]byte, 5*chunk)
			for range reads {
				off := rng.Int64N(source.size/8) * 8
				p := buf[:min(int64(1+rng.IntN(5*chunk/8))*8, source.size-off)]
				n, err := hookedRead(data, p, off)
				if err != nil || n != len(p) {
					t.Errorf("read of %d bytes at %d: %d, %v", len(p), off, n, err)
					return
				}
				if at := source.wrongAt(p, off); at >= 0 {
					t.Errorf("read at %d is wrong at byte %d", off, at)
					return
				}
			}
		})
	}
	work.Wait()
	stop.Store(true)
	evictors.Wait()
	t.Logf("%d reads, %d evictions of everything, %d reads repeated, %d requests", readers*reads, evictions, hookRepeats()-before, ring.Requests())
	if evictions == 0 || ring.Requests() == 0 {
		t.Error("nothing was evicted")
	}

	source.refuse.Store(3)
	_, err = s.Evict(1, 0)
	must(t, err)
	if _, err := hookedRead(data, make([]byte, 8), 3*chunk); !errors.Is(err, unix.EIO) {
		t.Errorf("a chunk that does not verify: %v", err)
	}
	if n, err := hookedRead(data, make([]byte, 8), 4*chunk); n != 8 || err != nil {
		t.Errorf("its neighbour: %d, %v", n, err)
	}
	ring.Deny()
	if _, err := hookedRead(data, make([]byte, 8), 6*chunk); !errors.Is(err, unix.EIO) {
		t.Errorf("after Deny: %v", err)
	}
}

// More threads read than there are buffers, each of several extents in turn: what a
// buffer holds of one must not be taken for another's, nor one thread's for another's.
func TestMoreReadersThanBuffers(t *testing.T) {
	const chunk, extents, readers, reads = 16 << 10, 3, 100, 200
	ring, err := engine.NewRing(2)
	must(t, err)
	defer ring.Close()
	must(t, hookRing(ring.File()))
	sources, files := make([]*pattern, extents), make([]*os.File, extents)
	for i := range extents {
		sources[i] = &pattern{size: 3<<20 + 8, chunk: chunk, salt: uint64(i) + 1}
		sources[i].refuse.Store(-1)
		s, err := engine.NewSparse(sources[i])
		must(t, err)
		defer s.Close()
		data, ready := s.Files()
		must(t, hook(data, ready, engine.SparseInfo{Index: ring.Attach(s, nil), Shift: 14, Size: sources[i].size}))
		defer unhook(data)
		files[i] = data
	}
	var work sync.WaitGroup
	for r := range readers {
		work.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			rng := rand.New(rand.NewPCG(uint64(r), 11))
			buf := make([]byte, 70*chunk)
			for range reads {
				i := rng.IntN(extents)
				off := rng.Int64N(sources[i].size/8) * 8
				p := buf[:min(int64(1+rng.IntN([]int{32, len(buf) / 8}[rng.IntN(2)]))*8, sources[i].size-off)]
				if n, err := hookedRead(files[i], p, off); err != nil || n != len(p) {
					t.Errorf("read of %d bytes at %d: %d, %v", len(p), off, n, err)
					return
				}
				if at := sources[i].wrongAt(p, off); at >= 0 {
					t.Errorf("read of extent %d at %d is wrong at byte %d", i, off, at)
					return
				}
			}
		})
	}
	work.Wait()
}

// A reader that takes a few bytes of a column's piece and then the rest asks
// once, and nothing of other columns is decrypted.
func TestReadAhead(t *testing.T) {
	child := launch(t, engine.Config{})
	plain := memfd(t)
	const rows = 200_000 // two row groups
	_, err := child.Export(context.Background(), engine.Statement{SQL: fmt.Sprintf("SELECT i::BIGINT AS a, hash(i) AS b, hash(i+1)::VARCHAR AS c FROM range(%d) r(i)", rows)}, plain)
	must(t, err)
	reader, size := encrypted(t, plain, envelope.NewDEK())
	must(t, child.OpenExtent(context.Background(), "x", plain))
	places, err := all(t, child, engine.Statement{
		SQL:     "SELECT coalesce(dictionary_page_offset, data_page_offset)::BIGINT, total_compressed_size::BIGINT FROM parquet_metadata(['{{extent:x}}']) WHERE path_in_schema = 'b' ORDER BY 1",
		Extents: []string{"x"},
	})
	must(t, err)
	if len(places) != 2 {
		t.Fatalf("%d row groups", len(places))
	}
	ring, err := engine.NewRing(2)
	must(t, err)
	defer ring.Close()
	must(t, hookRing(ring.File()))
	s, err := engine.NewSparse(reader)
	must(t, err)
	defer s.Close()
	data, ready := s.Files()
	must(t, hook(data, ready, engine.SparseInfo{Index: ring.Attach(s, nil), Shift: 14, Size: size}))
	defer unhook(data)
	runtime.LockOSThread() // what a request gave is the thread's that asked
	defer runtime.UnlockOSThread()
	for i, place := range places {
		var begin, n int64
		_, err := fmt.Sscanf(place, "%d|%d", &begin, &n)
		must(t, err)
		before := s.Decrypted()
		want := make([]byte, n)
		_, err = plain.ReadAt(want, begin)
		must(t, err)
		got := make([]byte, n)
		for _, part := range [][2]int64{{0, 256}, {21, 100}, {100, n}} {
			_, err = hookedRead(data, got[part[0]:part[1]], begin+part[0])
			must(t, err)
		}
		if !bytes.Equal(want, got) {
			t.Errorf("row group %d is wrong", i)
		}
		if got := ring.Requests(); got != uint64(i)+1 {
			t.Errorf("%d requests after row group %d", got, i)
		}
		const ends = 4 << 14 // of the piece, and the footer
		if got := s.Decrypted() - before; got < n || got > n+ends {
			t.Errorf("row group %d: %d bytes of %d were decrypted", i, got, n)
		}
	}
	if s.Resident() != 0 {
		t.Errorf("%d bytes are kept", s.Resident())
	}
}

// The child's descriptor must not be a way to change the plaintext or its words.
func TestSparseIsReadOnly(t *testing.T) {
	t.Parallel()
	source := &pattern{size: 1 << 20, chunk: 64 << 10}
	source.refuse.Store(-1)
	s, err := engine.NewSparse(source)
	must(t, err)
	defer s.Close()
	data, ready := s.Files()
	for name, err := range map[string]error{
		"write data":  second(data.WriteAt([]byte("x"), 0)),
		"grow data":   data.Truncate(2 << 20),
		"shrink data": data.Truncate(1),
		"write words": second(ready.WriteAt([]byte("x"), 0)),
		"map words":   second(unix.Mmap(int(ready.Fd()), 0, 4, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)),
	} {
		if err == nil {
			t.Errorf("%s: was possible", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestDecryptOnReadWorksHere(t *testing.T) {
	t.Parallel()
	for i := range 8 { // which threads read what is chance
		if info := launch(t, engine.Config{}).Info(); !info.DecryptOnRead {
			t.Fatalf("child %d of this build does not decrypt on read", i)
		}
	}
}

// wide makes a table of many chunks an extent: n rows of a long and a string.
func (s *site) wide(t *testing.T, name string, n int) {
	t.Helper()
	ctx := context.Background()
	if _, err := s.r.Table(ctx, testCluster, "db", name); errors.Is(err, catalog.ErrNotFound) {
		_, err := s.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: name, Columns: columnsOf(catalog.Long, catalog.String)})
		must(t, err)
	}
	q := cluster.Query{Database: "db", SQL: fmt.Sprintf("SELECT range::BIGINT, md5(range::VARCHAR) FROM range(%d)", n)}
	got, err := s.r.IngestQuery(ctx, testCluster, "db", name, q)
	must(t, err)
	if got != int64(n) {
		t.Fatalf("%d rows of %d", got, n)
	}
}

func (s *site) extentFiles() []string {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "clusters", testCluster, "extents", "*", "*.kxt"))
	must(s.t, err)
	slices.Sort(files)
	return files
}

// One flipped bit: the query that reads it hears which extent and where, other
// columns and other extents answer.
func TestTamperedChunk(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.wide(t, "W", 200_000)
	s.wide(t, "V", 1000)
	files := s.extentFiles()
	slices.SortFunc(files, func(a, b string) int { return int(fileSize(t, b) - fileSize(t, a)) })
	must(t, s.r.Stop(context.Background(), testCluster))
	at := flip(t, files[0], fileSize(t, files[0])/2)
	must(t, s.r.Start(context.Background(), testCluster))

	_, err := s.query("SELECT max(c2) FROM {{table:0}}", "W")
	var damaged *cluster.ExtentError
	if !errors.As(err, &damaged) {
		t.Fatalf("a tampered chunk gave %v", err)
	}
	if id := strings.TrimSuffix(filepath.Base(files[0]), ".kxt"); damaged.ID != id || at < damaged.Offset || at >= damaged.Offset+64<<10+16 || !errors.Is(err, aead.ErrAuthentication) {
		t.Fatalf("a bit at %d of %s was reported as %+v", at, id, damaged)
	}
	s.want("SELECT count(c1), max(c1) FROM {{table:0}}", "W", "200000|199999")
	s.want("SELECT count(DISTINCT c2) FROM {{table:0}}", "V", "1000")
	if _, err = s.query("SELECT 9223372036854775807::BIGINT + c1 FROM {{table:0}} WHERE c1 > 1", "W"); errors.As(err, &damaged) {
		t.Errorf("an overflow is put down to the extent: %v", err)
	}
}

func fileSize(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.Size()
}

func flip(t testing.TB, path string, at int64) int64 {
	t.Helper()
	must(t, os.Chmod(path, 0o600))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	must(t, err)
	b[0] ^= 0x10
	_, err = f.WriteAt(b[:], at)
	must(t, err)
	return at
}

// Many queries over extents whose plaintext does not fit the budget.
func TestQueriesUnderEviction(t *testing.T) {
	t.Parallel()
	s := openSiteWith(t, t.TempDir(), func(c *cluster.Config) { c.CacheBytes = 1 << 20 })
	s.create(t)
	for range 4 {
		s.wide(t, "W", 50_000)
	}
	s.reseal()
	want := map[string]string{
		"SELECT count(DISTINCT c2) FROM {{table:0}}":         "50000",
		"SELECT sum(c1)::BIGINT, count(*) FROM {{table:0}}":  "4999900000|200000",
		"SELECT max(md5(c1::VARCHAR) = c2) FROM {{table:0}}": "true",
		"SELECT min(md5(c1::VARCHAR) = c2) FROM {{table:0}}": "true",
	}
	var work sync.WaitGroup
	for range 3 {
		work.Go(func() {
			for range 4 {
				for sql, row := range want {
					if got, err := s.query(sql, "W"); err != nil || len(got) != 1 || got[0] != row {
						t.Errorf("%s: %v, %v", sql, got, err)
					}
				}
			}
		})
	}
	work.Wait()
}
