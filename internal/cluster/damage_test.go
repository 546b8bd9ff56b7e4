package cluster

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/wal"
)

// A damaged log closes its database and no other; nothing of it is changed
// until the file is back, and then every row is there.
func TestDamagedLogClosesItsDatabaseAlone(t *testing.T) {
	t.Parallel()
	flip := func(at int64) func(*world, wal.Segment) func() {
		return func(w *world, s wal.Segment) func() { return w.spoil(s.Path, at) }
	}
	for name, damage := range map[string]func(*world, wal.Segment) func(){
		"magic":           flip(0),
		"format":          flip(9),
		"flags":           flip(10),
		"header length":   flip(15),
		"segment id":      flip(20),
		"database id":     flip(40),
		"key version":     flip(51),
		"sequence number": flip(59),
		"run":             flip(65),
		"wrapped dek":     flip(100),
		"tag of header": func(w *world, s wal.Segment) func() {
			return w.spoil(s.Path, int64(s.HeaderBytes)-1)
		},
		"frame marker": func(w *world, s wal.Segment) func() { return w.spoil(s.Path, int64(s.HeaderBytes)) },
		"frame body":   func(w *world, s wal.Segment) func() { return w.spoil(s.Path, int64(s.HeaderBytes)+50) },
		"last byte":    flip(-1),
		"cut in header": func(w *world, s wal.Segment) func() {
			raw, err := os.ReadFile(s.Path)
			w.must(err)
			return w.replace(s.Path, raw[:100])
		},
		"other file": func(w *world, s wal.Segment) func() {
			raw, err := os.ReadFile(w.segmentsOf("db")[0].Path)
			w.must(err)
			head, err := os.ReadFile(s.Path)
			w.must(err)
			return w.replace(s.Path, append(head[:48:48], raw[48:]...))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			w := newTwoWorld(t)
			var told bytes.Buffer
			meta, err := w.r.Table(ctx, testCluster, "own", "T")
			w.must(err)
			w.r.crash()
			segments := w.segmentsOf("own")
			restore := damage(w, segments[0])
			before := w.content("own", segments)
			w.cfg.Log = slog.New(slog.NewTextHandler(&told, &slog.HandlerOptions{Level: slog.LevelError}))
			w.reopen()
			if e := w.wantDamaged("own"); e.Segment != segments[0].ID || (name == "frame body" || name == "last byte") && e.Offset != int64(segments[0].HeaderBytes) {
				t.Errorf("%+v", e)
			}
			var damaged *LogError
			if _, err := w.query("db", meta.ID); !errors.As(err, &damaged) {
				t.Errorf("query from another database: %v", err)
			}
			v, _ := w.verify(1 << 20)
			if len(v.Damage) != 1 || !strings.Contains(v.Damage[0].Path, segments[0].ID) || v.VerifiedSegments != 1 || v.Segments != 2 {
				t.Errorf("verified: %+v", v)
			}
			w.want("T", "7")
			for v := range int64(10) {
				w.must(w.ingest("T", 10+v))
				w.seal("T")
			}
			w.must(w.r.Maintain(ctx, testCluster))
			w.must(w.r.Close())
			if n := strings.Count(told.String(), "its log is damaged"); n != 1 {
				t.Errorf("said %d times:\n%s", n, &told)
			}
			w.reopen()
			w.wantDamaged("own")
			w.want("T", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "7")
			w.must(w.r.Close())
			if diff := gocmp.Diff(before, w.content("own", segments)); diff != "" {
				t.Errorf("files of the closed database (-before +after)\n%s", diff)
			}
			restore()
			w.reopen()
			w.wantOwn("1", "2")
			w.must(w.ingestOwn(3))
			w.r.crash()
			w.reopen()
			w.wantOwn("1", "2", "3")
			if s, err := w.r.State(ctx, testCluster); err != nil || s.Reason != "" {
				t.Errorf("%+v %v", s, err)
			}
		})
	}
}

// A segment that is missing between others is damage too, and so is one of two
// databases at once.
func TestTwoDamagedLogs(t *testing.T) {
	t.Parallel()
	w := newTwoWorld(t)
	w.second("third")
	third := func(v int64) error {
		return w.r.Ingest(context.Background(), testCluster, "third", "T", batchOf(oneColumn, v))
	}
	for v := range int64(3) { // a segment each
		w.must(third(v))
		w.r.crash()
		w.reopen()
	}
	w.must(third(3))
	w.r.crash()
	segments := w.segmentsOf("third")
	if len(segments) < 3 {
		t.Fatalf("%d segments", len(segments))
	}
	back := []func(){w.hide(segments[1].Path), w.spoil(w.segmentsOf("own")[0].Path, -1)}
	w.reopen()
	w.wantDamaged("own")
	w.wantDamaged("third")
	w.want("T", "7")
	back[0]()
	w.r.crash()
	w.reopen()
	w.wantDamaged("own")
	rows, err := w.query("third", func() string {
		meta, err := w.r.Table(context.Background(), testCluster, "third", "T")
		w.must(err)
		return meta.ID
	}())
	w.must(err)
	got, err := drain(rows)
	w.must(err)
	if diff := gocmp.Diff([]string{"0", "1", "2", "3"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	back[1]()
	w.r.ProbeNow(testCluster)
	w.awaitDamage("own", false)
	w.wantOwn("1", "2")
}

// The database opens without a restart when every segment is there again, and
// not when a damaged one has only been taken away.
func TestDamagedLogIsMended(t *testing.T) {
	t.Parallel()
	w := newTwoWorld(t)
	w.r.crash()
	path := w.segmentsOf("own")[0].Path
	restore := w.spoil(path, 20)
	w.reopen()
	w.wantDamaged("own")
	back := w.hide(path)
	s := w.session()
	dbs, _ := s.damages()
	s.tryMend(dbs[0])
	if e := w.wantDamaged("own"); !errors.Is(e, errSegmentGone) {
		t.Error(e)
	}
	back()
	s.tryMend(dbs[0])
	if e := w.wantDamaged("own"); !errors.Is(e, wal.ErrMalformed) {
		t.Error(e)
	}
	restore()
	w.r.ProbeNow(testCluster)
	w.awaitDamage("own", false)
	w.wantOwn("1", "2")
	w.must(w.ingestOwn(3))
	w.sealOwn()
	w.wantOwn("1", "2", "3")
	w.want("T", "7")
	if left := w.segmentsOf("own"); len(left) != 0 {
		t.Errorf("the log is not pruned any more: %v", left)
	}
}

// Damage that shows when a dead child is replaced closes the database while the
// others go on; an ingestion that is refused because of it does not come back.
func TestDamageMetWhenTheChildDies(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(*world, wal.Segment) func(){
		"frame":       func(w *world, s wal.Segment) func() { return w.spoil(s.Path, int64(s.HeaderBytes)+50) },
		"header":      func(w *world, s wal.Segment) func() { return w.spoil(s.Path, 3) },
		"database id": func(w *world, s wal.Segment) func() { return w.spoil(s.Path, 40) },
		"zeros":       func(w *world, s wal.Segment) func() { return w.replace(s.Path, make([]byte, s.Size)) },
		"gone":        func(w *world, s wal.Segment) func() { return w.hide(s.Path) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTwoWorld(t)
			segments := w.segmentsOf("own")
			before := w.content("own", segments)
			var restore func()
			var once sync.Once
			w.engine.mu.Lock()
			w.engine.onAppend = func(c *fakeChild) error {
				once.Do(func() {
					restore = damage(w, segments[0])
					c.Close()
				})
				return c.gone()
			}
			w.engine.mu.Unlock()
			var damaged *LogError
			if err := w.ingestOwn(3); !errors.As(err, &damaged) {
				t.Errorf("ingestion: %v", err)
			}
			w.awaitDamage("own", true)
			w.wantDamaged("own")
			w.want("T", "7")
			w.must(w.ingest("T", 8))
			w.seal("T")
			for _, c := range w.engine.alive() { // once more: it stays closed
				c.Close()
			}
			w.eventually("T", "7", "8")
			w.wantDamaged("own")
			spoilt := w.content("own", segments)
			w.must(w.r.Close())
			if diff := gocmp.Diff(spoilt, w.content("own", segments)); diff != "" {
				t.Errorf("files of the closed database (-before +after)\n%s", diff)
			}
			restore()
			after := w.content("own", segments)
			for path, raw := range before { // the refused rows were in it, and nothing else came
				if !strings.HasPrefix(after[path], raw) {
					t.Errorf("%s changed", path)
				}
			}
			w.reopen()
			w.wantOwn("1", "2")
			w.must(w.ingestOwn(4))
			w.wantOwn("1", "2", "4")
		})
	}
}

// Dropping a database never needs its rows.
func TestDropOfADatabaseWithDamagedLog(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, at := range map[string]int64{"frame": -1, "header": 3, "database id": 40} {
		for _, stopped := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " stopped"}[stopped], func(t *testing.T) {
				t.Parallel()
				w := newTwoWorld(t)
				segments := w.segmentsOf("own")
				w.r.crash()
				w.spoil(segments[0].Path, at)
				w.reopen()
				w.wantDamaged("own")
				if stopped {
					w.must(w.r.Stop(ctx, testCluster))
				}
				w.must(w.r.DeleteDatabase(ctx, testCluster, "own"))
				if stopped {
					w.must(w.r.Start(ctx, testCluster))
				}
				w.want("T", "7")
				if err := w.ingestOwn(9); !errors.Is(err, catalog.ErrNotFound) {
					t.Errorf("a dropped database: %v", err)
				}
				if _, err := os.Stat(segments[0].Path); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("its segment is left: %v", err)
				}
				if s, err := w.r.State(ctx, testCluster); err != nil || s.Reason != "" {
					t.Errorf("%+v %v", s, err)
				}
				w.second("own")
				w.must(w.ingestOwn(1))
				w.r.crash()
				w.reopen()
				w.wantOwn("1")
			})
		}
	}
}

// The log and the own key of a database are two things: neither opens what the
// other closes, and each is told as what it is.
func TestDamagedLogOfADatabaseWithItsOwnKey(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w, vault := newOwnWorld(t)
	w.r.crash()
	restore := w.spoil(w.segmentsOf("own")[0].Path, -1)
	w.reopen()
	w.awaitDamage("own", true)
	w.wantDamaged("own")
	n, err := w.r.node(ctx, testCluster)
	w.must(err)
	probe := n.databaseKeys()[0].probeNow
	probe() // the key is there, which opens nothing
	w.wantDamaged("own")
	if s, err := w.r.DatabaseState(ctx, testCluster, "own"); err != nil || s.Key != envelope.KeyCustomer || s.Reason != "" {
		t.Errorf("%+v %v", s, err)
	}
	vault.set(errRevoked)
	w.r.ProbeNow(testCluster)
	w.awaitOwn(true)
	db, err := w.r.Database(ctx, testCluster, "own")
	w.must(err)
	if !n.ring.DatabaseLocked(db.ID) {
		t.Error("the key of the database is still in memory")
	}
	var suspended *SuspendedError
	if err := w.ingestOwn(9); !errors.As(err, &suspended) || suspended.Database != "own" {
		t.Errorf("%v", err)
	}
	vault.set(nil)
	w.r.ProbeNow(testCluster)
	w.awaitDamage("own", true)
	w.wantDamaged("own")
	vault.set(errRevoked)
	w.r.ProbeNow(testCluster)
	w.awaitOwn(true)
	restore()
	s := w.session()
	w.must(s.reopenDatabase(ctx, db.ID, true)) // nothing, without the key
	if err := w.ingestOwn(9); !errors.As(err, &suspended) {
		t.Errorf("%v", err)
	}
	vault.set(nil)
	w.r.ProbeNow(testCluster)
	w.awaitOwn(false)
	w.wantOwn("1", "2")
}

// A re-encryption does what can be done and says of which database it is not true.
func TestReencryptionBesideADamagedLog(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newTwoWorld(t)
	w.r.crash()
	restore := w.spoil(w.segmentsOf("own")[0].Path, -1)
	w.reopen()
	if _, err := w.r.Reencrypt(ctx, testCluster, ReencryptionRequest{Database: "own"}); !errors.Is(err, ErrReencryptionState) || !strings.Contains(err.Error(), "its log is damaged") {
		t.Errorf("of the closed database: %v", err)
	}
	w.reencrypt("")
	job := w.awaitJob(ReencryptionFailed)
	if !strings.HasPrefix(job.Why, "database own is closed because its log is damaged") {
		t.Errorf("%+v", job)
	}
	w.wantVersions("db", 2)
	if got := w.versions("own"); len(got) != 1 || got[0] != 1 {
		t.Errorf("keys of the closed database: %v", got)
	}
	w.want("T", "7")
	restore()
	w.r.ProbeNow(testCluster)
	w.awaitDamage("own", false)
	_, err := w.r.ResumeReencryption(ctx, testCluster, audit.Actor{})
	w.must(err)
	w.awaitJob(ReencryptionDone)
	w.wantVersions("own", 2)
	w.wantOwn("1", "2")
}

// Trouble that says nothing about the file closes nothing: the cluster stays
// Starting and tries again. So it does when nobody can tell whose a segment is.
func TestWhatIsNoDamageOfADatabase(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(path string) error{
		"not a file":     func(path string) error { return os.Mkdir(path, 0o700) },
		"nobody's bytes": func(path string) error { return os.WriteFile(path, make([]byte, 4096), 0o600) },
		"empty":          func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTwoWorld(t)
			w.r.crash()
			path := filepath.Join(w.dir, "clusters", testCluster, "wal", ids.NewGUID()+wal.Suffix)
			w.must(spoil(path))
			w.open()
			if s := w.await(Starting); s.Reason == "" {
				t.Errorf("%+v", s)
			}
			w.must(os.Remove(path))
			w.r.ProbeNow(testCluster)
			w.await(Running)
			w.wantOwn("1", "2")
			w.want("T", "7")
		})
	}
}

// A header that is spoilt after it was read does not make the next segment go wrong:
// whatever was acknowledged is there when the byte is as it was.
func TestHeaderSpoiltBeforeASegmentBegins(t *testing.T) {
	t.Parallel()
	const header = 160
	for at := range int64(header) {
		w := newTwoWorld(t)
		w.r.crash()
		w.reopen()
		want := []string{"1", "2"}
		first := w.segmentsOf("own")[0]
		if first.HeaderBytes != header {
			t.Fatalf("a header has %d bytes", first.HeaderBytes)
		}
		restore := w.spoil(first.Path, at)
		var damaged *LogError
		if err := w.ingestOwn(3); err == nil {
			want = append(want, "3")
		} else if !errors.As(err, &damaged) {
			t.Fatalf("byte %d: %v", at, err)
		}
		w.r.crash()
		restore()
		w.reopen()
		w.wantOwn(want...)
		w.must(w.r.Close())
	}
}

// A segment that is known and whose header cannot be read closes its database as
// soon as the log is gone on with.
func TestDamageMetByAnAppend(t *testing.T) {
	t.Parallel()
	w := newTwoWorld(t)
	w.r.crash()
	w.reopen()
	restore := w.spoil(w.segmentsOf("own")[0].Path, 1)
	var damaged *LogError
	if err := w.ingestOwn(3); !errors.As(err, &damaged) {
		t.Errorf("%v", err)
	}
	w.awaitDamage("own", true)
	w.wantDamaged("own")
	w.must(w.ingest("T", 8)) // which begins a log as well
	w.want("T", "7", "8")
	restore()
	w.r.ProbeNow(testCluster)
	w.awaitDamage("own", false)
	w.wantOwn("1", "2")
	w.must(w.ingestOwn(4))
	w.wantOwn("1", "2", "4")
}

// A segment whose header names a database that is no more may be that of one
// whose key is away: it stays until the key is back, and closes its database then.
func TestStrayOfADatabaseWhoseKeyIsAway(t *testing.T) {
	t.Parallel()
	w, vault := newOwnWorld(t)
	w.r.crash()
	restore := w.spoil(w.segmentsOf("own")[0].Path, 40)
	vault.set(errRevoked)
	w.reopen()
	w.awaitOwn(true)
	w.must(w.r.Close())
	w.reopen()
	vault.set(nil)
	w.r.ProbeNow(testCluster)
	w.awaitDamage("own", true)
	w.wantDamaged("own")
	restore()
	w.r.ProbeNow(testCluster)
	w.awaitDamage("own", false)
	w.wantOwn("1", "2")
}
