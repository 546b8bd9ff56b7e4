package pkcs11_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/barrier/pkcs11"
)

// TestMain gives SoftHSM a folder of its own before the module is loaded,
// which happens once in a process.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "softhsm-")
	if err == nil {
		conf := filepath.Join(dir, "softhsm2.conf")
		err = errors.Join(os.Mkdir(filepath.Join(dir, "tokens"), 0o700),
			os.WriteFile(conf, []byte("directories.tokendir = "+filepath.Join(dir, "tokens")+"\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600),
			os.Setenv("SOFTHSM2_CONF", conf))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func softHSM(t *testing.T) string {
	t.Helper()
	paths, err := filepath.Glob("/usr/lib/*/softhsm/libsofthsm2.so")
	if more, _ := filepath.Glob("/usr/lib/softhsm/libsofthsm2.so"); len(more) > 0 {
		paths = more
	}
	if _, lookErr := exec.LookPath("softhsm2-util"); err != nil || lookErr != nil || len(paths) == 0 {
		t.Skip("SoftHSM is not installed (Debian package softhsm2).")
	}
	return paths[0]
}

// TestAToken runs in one piece: the module is one per process.
func TestAToken(t *testing.T) {
	lib := softHSM(t)
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "kustos test", "--pin", "4711", "--so-pin", "4712").CombinedOutput()
	if err != nil {
		t.Fatalf("%v %s", err, out)
	}
	pin := filepath.Join(t.TempDir(), "pin")
	write := func(text string, mode os.FileMode) {
		t.Helper()
		if err := errors.Join(os.WriteFile(pin, []byte(text), mode), os.Chmod(pin, mode)); err != nil {
			t.Fatal(err)
		}
	}
	write("4711\n", 0o600)
	address := func(object string) pkcs11.Address {
		t.Helper()
		a, err := pkcs11.Parse("pkcs11:token=kustos%20test;object=" + object + "?module-path=" + lib + "&pin-source=file:" + pin)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if _, err := pkcs11.Open(address("root")); err == nil || !strings.Contains(err.Error(), "no AES key is labelled") {
		t.Fatalf("a missing key: %v", err)
	}
	seal, err := pkcs11.Create(address("root"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	b, err := barrier.Create(t.Context(), dir, seal)
	if err != nil {
		t.Fatal(err)
	}
	value, err := b.Seal("c", []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	seal.Close()
	if _, err := seal.Wrap(t.Context(), nil); err == nil {
		t.Error("wraps after Close")
	}

	again, err := pkcs11.Open(address("root"))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if b, err = barrier.Open(t.Context(), dir, again); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Open("c", value); err != nil || string(got) != "hello" {
		t.Errorf("%q %v", got, err)
	}
	other, err := pkcs11.Create(address("other"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := barrier.Open(t.Context(), dir, other); !errors.Is(err, barrier.ErrWrongSeal) {
		t.Errorf("another key: %v", err)
	}
	if err := b.Rekey(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if _, err := barrier.Open(t.Context(), dir, again); !errors.Is(err, barrier.ErrWrongSeal) {
		t.Errorf("the old key: %v", err)
	}
	secret := bytes.Repeat([]byte{3}, 32)
	blob, err := again.Wrap(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	for i := range blob {
		bad := bytes.Clone(blob)
		bad[i] ^= 1
		if _, err := again.Unwrap(t.Context(), bad); err == nil {
			t.Errorf("byte %d changed and unwrapped", i)
		}
		if _, err := again.Unwrap(t.Context(), blob[:i]); err == nil {
			t.Errorf("cut at %d and unwrapped", i)
		}
	}
	if got, err := again.Unwrap(t.Context(), blob); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("unwrap: %v", err)
	}

	again.Close()
	other.Close() // the last session ends the login
	write("0000", 0o600)
	if _, err := pkcs11.Open(address("root")); err == nil || !strings.Contains(err.Error(), "PIN incorrect") {
		t.Errorf("wrong PIN: %v", err)
	}
	write("4711", 0o644)
	if _, err := pkcs11.Open(address("root")); err == nil || !strings.Contains(err.Error(), "mode 0644") {
		t.Errorf("PIN file of others: %v", err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"file:x": "does not begin", "pkcs11:token=t": "needs token", "pkcs11:token=t;object=o": "module-path", "pkcs11:token=t;object=o?module-path=rel.so": "module-path",
		"pkcs11:token=t;object=o?pin-value=1": "pin-value is refused", "pkcs11:serial=1": "not supported", "pkcs11:type=private;token=t": "secret-key", "pkcs11:token=%zz": "token",
	} {
		if _, err := pkcs11.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestNotAModule(t *testing.T) {
	t.Parallel()
	pin := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(pin, []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, lib := range []string{"/nowhere/lib.so", pin} {
		a, err := pkcs11.Parse("pkcs11:token=t;object=o?module-path=" + lib + "&pin-source=" + pin)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pkcs11.Open(a); err == nil || !strings.Contains(err.Error(), "load PKCS #11 module") {
			t.Errorf("%s: %v", lib, err)
		}
	}
}
