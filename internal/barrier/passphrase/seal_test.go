package passphrase_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/barrier/passphrase"
)

const words = "correct horse battery"

func newSeal(t *testing.T, secret string) *passphrase.Seal {
	t.Helper()
	s, err := passphrase.New([]byte(secret), passphrase.Params{Time: 1, Memory: 64, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBarrierUnderAPassphrase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, err := barrier.Create(t.Context(), dir, newSeal(t, words))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := b.Seal("c", []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	if _, err := barrier.Open(t.Context(), dir, newSeal(t, words+"!")); !errors.Is(err, barrier.ErrWrongSeal) {
		t.Errorf("another passphrase: %v", err)
	}
	b, err = barrier.Open(t.Context(), dir, newSeal(t, words))
	if err != nil {
		t.Fatal(err)
	}
	file, err := barrier.CreateFileSealFor(filepath.Join(t.TempDir(), "seal"), b.InstanceID())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Rekey(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if _, err := barrier.Open(t.Context(), dir, newSeal(t, words)); !errors.Is(err, barrier.ErrWrongSeal) || !strings.Contains(err.Error(), "kind file") {
		t.Errorf("the old seal: %v", err)
	}
	if b, err = barrier.Open(t.Context(), dir, file); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Open("c", sealed); err != nil || string(got) != "hello" {
		t.Errorf("a value from before: %q %v", got, err)
	}
	data, err := os.ReadFile(filepath.Join(dir, barrier.KeyringName))
	if err != nil || bytes.Contains(data, []byte(words)) {
		t.Error("the passphrase is in the keyring")
	}
}

func TestEveryBitOfTheBlobIsBound(t *testing.T) {
	t.Parallel()
	s := newSeal(t, words)
	key := bytes.Repeat([]byte{9}, 32)
	blob, err := s.Wrap(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Wrap(t.Context(), key)
	if err != nil || bytes.Equal(blob, again) {
		t.Error("two wraps are the same")
	}
	for i := range blob {
		if i == 1 || i == 5 { // would only ask for hours and gigabytes; refused below
			continue
		}
		bad := bytes.Clone(blob)
		bad[i] ^= 1
		if _, err := s.Unwrap(t.Context(), bad); err == nil {
			t.Errorf("byte %d changed and unwrapped", i)
		}
	}
	for i := range blob {
		if _, err := s.Unwrap(t.Context(), blob[:i]); err == nil {
			t.Errorf("cut at %d and unwrapped", i)
		}
	}
	for _, at := range []int{1, 5} {
		bad := bytes.Clone(blob)
		bad[at] = 0xff
		if _, err := s.Unwrap(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "out of bounds") {
			t.Errorf("hostile parameters: %v", err)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(verb, s); got != "REDACTED" {
			t.Errorf("%s: %s", verb, got)
		}
	}
	s.Close()
	if _, err := s.Unwrap(t.Context(), blob); err == nil {
		t.Error("unwraps after Close")
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "p")
	if err := os.WriteFile(path, []byte(words+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := passphrase.Read(passphrase.Source{FD: -1, File: path})
	if err != nil || string(got) != words {
		t.Errorf("%q %v", got, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := passphrase.Read(passphrase.Source{FD: -1, File: path}); err == nil || !strings.Contains(err.Error(), "mode 0644") {
		t.Errorf("readable by others: %v", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(w, words)
	w.Close()
	defer r.Close()
	fd, err := unix.Dup(int(r.Fd())) // Read closes what it is given
	if err != nil {
		t.Fatal(err)
	}
	if got, err := passphrase.Read(passphrase.Source{FD: fd}); err != nil || string(got) != words {
		t.Errorf("descriptor: %q %v", got, err)
	}
	if _, err := passphrase.New([]byte("short"), passphrase.DefaultParams()); err == nil {
		t.Error("a short passphrase is taken")
	}
}
