package fsck_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/audit"
)

// Every bit of a segment of the audit log: verification finds each, and reading
// gives out no event that was not recorded.
func TestEveryBitOfTheAuditLog(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	dir := audit.Dir(f.dir)
	log, err := audit.Open(ctx, audit.Config{Dir: dir, Instance: f.barrier.InstanceID(), Store: f.store, Sealer: f.barrier, Now: time.Now})
	must(t, err)
	for _, operation := range []string{"key/wrap", "key/unwrap", "key/rotate"} {
		must(t, log.Record(ctx, audit.Event{Operation: operation, Result: audit.Allowed, Detail: "of a cluster"}))
		must(t, log.Flush(ctx)) // a frame each
	}
	must(t, log.Close())
	head, err := audit.ReadHead(ctx, f.store)
	must(t, err)
	files, err := os.ReadDir(dir)
	must(t, err)
	if len(files) != 1 {
		t.Fatalf("%d segments", len(files))
	}
	good, err := os.ReadFile(filepath.Join(dir, files[0].Name()))
	must(t, err)
	copied := t.TempDir()
	path := filepath.Join(copied, files[0].Name())
	read := func(data []byte) (events []audit.Event, sound bool) {
		must(t, os.WriteFile(path, data, 0o600))
		report, err := audit.Verify(copied, f.barrier.InstanceID(), f.barrier, head)
		for e, err := range audit.Read(copied, f.barrier) {
			if err == nil {
				events = append(events, e)
			}
		}
		return events, err == nil && report.Good()
	}
	want, sound := read(bytes.Clone(good))
	if !sound || len(want) != 3 {
		t.Fatalf("the log as written: %d events, sound %v", len(want), sound)
	}
	eachBit(good, func(bit int, changed []byte) {
		got, sound := read(changed)
		if sound {
			t.Errorf("bit %d of byte %d of %d is not found", bit%8, bit/8, len(good))
		}
		for _, e := range got {
			if int(e.Sequence) > len(want) || !cmp.Equal(e, want[e.Sequence-1]) {
				t.Errorf("bit %d of byte %d: an event that was not recorded", bit%8, bit/8)
			}
		}
	})
	t.Logf("%d bits", 8*len(good))
}
