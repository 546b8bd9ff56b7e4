package backup

import (
	"os"
	"path/filepath"
	"testing"
)

// What a killed backup left goes; a backup at work and everything else stays.
func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	working, lock, err := newStage(dir)
	if err != nil {
		t.Fatal(err)
	}
	left, dead, err := newStage(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.Close(); err != nil { // as the end of its process does
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(left, "state.db"), filepath.Join(dir, "state.db"), filepath.Join(dir, staging+"file")} {
		if err := os.WriteFile(path, []byte("wrap"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	there := func(path string) bool { _, err := os.Stat(path); return err == nil }
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	if there(left) || !there(working) || !there(filepath.Join(dir, "state.db")) || !there(filepath.Join(dir, staging+"file")) {
		t.Errorf("left %v, working %v", there(left), there(working))
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(dir); err != nil || there(working) {
		t.Errorf("%v, the second is there: %v", err, there(working))
	}
}
