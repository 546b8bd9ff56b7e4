package barrier_test

import (
	"context"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/barrier"
)

var update = flag.Bool("update", false, "rewrite the frozen instance; only for a new format version")

// TestFrozenInstance opens what an earlier build wrote: the formats of seal,
// keyring and value do not change under the same version numbers.
func TestFrozenInstance(t *testing.T) {
	t.Parallel()
	const frozen, plain = "testdata/format1", "a value of format 1"
	ctx := context.Background()
	if *update {
		if err := os.RemoveAll(frozen); err != nil {
			t.Fatal(err)
		}
		seal, err := barrier.CreateFileSeal(filepath.Join(frozen, "seal"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := barrier.Create(ctx, frozen, seal)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Rotate(); err != nil {
			t.Fatal(err)
		}
		value, err := b.Seal("bucket\x00key", []byte(plain))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(frozen, "value.hex"), []byte(hex.EncodeToString(value)+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"seal", barrier.KeyringName} {
		data, err := os.ReadFile(filepath.Join(frozen, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seal, err := barrier.OpenFileSeal(filepath.Join(dir, "seal"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := barrier.Open(ctx, dir, seal)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(frozen, "value.hex"))
	if err != nil {
		t.Fatal(err)
	}
	value, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Open("bucket\x00key", value); err != nil || string(got) != plain {
		t.Errorf("%q, %v", got, err)
	}
}
