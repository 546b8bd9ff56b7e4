package barrier_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

var _ store.Sealer = (*barrier.Barrier)(nil)

func newBarrier(t *testing.T) (b *barrier.Barrier, dir string, seal *barrier.FileSeal) {
	t.Helper()
	dir = t.TempDir()
	seal, err := barrier.CreateFileSeal(filepath.Join(t.TempDir(), "seal"))
	if err != nil {
		t.Fatal(err)
	}
	b, err = barrier.Create(context.Background(), dir, seal)
	if err != nil {
		t.Fatal(err)
	}
	return b, dir, seal
}

func TestSealOpenAcrossReopenAndRotate(t *testing.T) {
	t.Parallel()
	b, dir, seal := newBarrier(t)
	ctx := context.Background()
	old, err := b.Seal("c", []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Rotate(); err != nil {
		t.Fatal(err)
	}
	young, err := b.Seal("c", []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(old[:5], young[:5]) {
		t.Error("rotation kept the key id")
	}
	b.Close()
	b.Close()
	if _, err := b.Seal("c", nil); !errors.Is(err, barrier.ErrClosed) {
		t.Errorf("seal after close: %v", err)
	}
	if _, err := b.Open("c", old); !errors.Is(err, barrier.ErrClosed) {
		t.Errorf("open after close: %v", err)
	}
	if err := b.Rotate(); !errors.Is(err, barrier.ErrClosed) {
		t.Errorf("rotate after close: %v", err)
	}

	b, err = barrier.Open(ctx, dir, seal)
	if err != nil {
		t.Fatal(err)
	}
	for _, sealed := range [][]byte{old, young} {
		if got, err := b.Open("c", sealed); err != nil || string(got) != "hello" {
			t.Errorf("open: %q, %v", got, err)
		}
	}
	if _, err := barrier.Create(ctx, dir, seal); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second create: %v", err)
	}
	if id, err := barrier.InstanceID(dir); err != nil || id != seal.InstanceID() || id != b.InstanceID() {
		t.Errorf("instance id %q, %v", id, err)
	}
}

func TestEveryByteIsBound(t *testing.T) {
	t.Parallel()
	b, _, _ := newBarrier(t)
	other, _, _ := newBarrier(t)
	rapid.Check(t, func(t *rapid.T) {
		where := rapid.String().Draw(t, "context")
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		sealed, err := b.Seal(where, plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := b.Open(where, sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("open: %x, %v", got, err)
		}
		if _, err := b.Open(where+"x", sealed); !errors.Is(err, aead.ErrAuthentication) {
			t.Fatalf("other context: %v", err)
		}
		if _, err := other.Open(where, sealed); !errors.Is(err, aead.ErrAuthentication) {
			t.Fatalf("other instance: %v", err)
		}
		if _, err := b.Open(where, sealed[:rapid.IntRange(0, len(sealed)-1).Draw(t, "cut")]); err == nil {
			t.Fatal("truncated value opened")
		}
		i := rapid.IntRange(0, len(sealed)-1).Draw(t, "byte")
		sealed[i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := b.Open(where, sealed); err == nil {
			t.Fatalf("flipped byte %d opened", i)
		}
	})
}

func TestFileSealRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	id := ids.NewGUID()
	path := filepath.Join(dir, "seals", id)
	if _, err := barrier.OpenFileSeal(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("missing: %v", err)
	}
	seal, err := barrier.CreateFileSeal(path)
	if err != nil {
		t.Fatal(err)
	}
	if seal.InstanceID() != id {
		t.Errorf("instance %s, want the file's name %s", seal.InstanceID(), id)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := barrier.CreateFileSeal(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("overwrite: %v", err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		edit func([]byte) []byte
		mode os.FileMode
		want string
	}{
		"group readable": {func(b []byte) []byte { return b }, 0o640, "mode 0640"},
		"executable":     {func(b []byte) []byte { return b }, 0o700, "mode 0700"},
		"empty":          {func([]byte) []byte { return nil }, 0o600, "is not a seal file"},
		"text":           {func([]byte) []byte { return []byte("hello") }, 0o600, "is not a seal file"},
		"short":          {func(b []byte) []byte { return b[:len(b)-1] }, 0o600, "is damaged"},
		"long":           {func(b []byte) []byte { return append(b, 0) }, 0o600, "is damaged"},
		"flipped":        {func(b []byte) []byte { b[60] ^= 1; return b }, 0o600, "is damaged"},
		"newer":          {func(b []byte) []byte { b[13] = 2; return b }, 0o600, "format 2, this binary knows up to 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := filepath.Join(t.TempDir(), "seal")
			if err := os.WriteFile(p, c.edit(bytes.Clone(good)), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(p, c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := barrier.OpenFileSeal(p)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), p) {
				t.Errorf("got %v, want %q and the path", err, c.want)
			}
		})
	}
	seal.Close()
	if _, err := seal.Wrap(context.Background(), nil); !errors.Is(err, aead.ErrWiped) {
		t.Errorf("wrap after close: %v", err)
	}
}

func TestWrongSeal(t *testing.T) {
	t.Parallel()
	_, dir, seal := newBarrier(t)
	ctx := context.Background()
	other, err := barrier.CreateFileSeal(filepath.Join(t.TempDir(), "seal"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := barrier.Open(ctx, dir, other); !errors.Is(err, barrier.ErrWrongSeal) {
		t.Errorf("other seal: %v", err)
	}
	same, err := barrier.CreateFileSeal(filepath.Join(t.TempDir(), seal.InstanceID()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := barrier.Open(ctx, dir, same); !errors.Is(err, barrier.ErrWrongSeal) {
		t.Errorf("other key for the same instance: %v", err)
	}
}

func TestKeyringRefusals(t *testing.T) {
	t.Parallel()
	_, dir, seal := newBarrier(t)
	ctx := context.Background()
	good, err := os.ReadFile(filepath.Join(dir, barrier.KeyringName))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := barrier.Open(ctx, t.TempDir(), seal); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"newer":        {`"format": 1`, `"format": 2`, "format 2, this binary knows up to 1"},
		"no format":    {`"format": 1`, `"format": 0`, "is damaged"},
		"not json":     {`{`, `[`, "is damaged"},
		"other id":     {`"id": 1`, `"id": 2`, "data key 2"},
		"zero id":      {`"id": 1`, `"id": 0`, "not ascending"},
		"no instance":  {`"instance"`, `"instant"`, "is damaged"},
		"changed root": {`"root": "A`, `"root": "AA`, "is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := t.TempDir()
			if err := os.WriteFile(filepath.Join(d, barrier.KeyringName), bytes.Replace(good, []byte(c.old), []byte(c.new), 1), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := barrier.Open(ctx, d, seal); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestDiskHoldsNoKey looks for the plaintext of a sealed value and checks that
// the keyring alone gives nothing away.
func TestDiskHoldsNoKey(t *testing.T) {
	t.Parallel()
	b, dir, _ := newBarrier(t)
	sealed, err := b.Seal("c", []byte("needle in clear"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("needle")) {
		t.Error("plaintext in a sealed value")
	}
	info, err := os.Stat(filepath.Join(dir, barrier.KeyringName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("keyring mode %v, %v", info.Mode(), err)
	}
}
