package seals_test

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/barrier/seals"
)

const instance = "11111111-2222-4333-8444-555555555555"

func TestRefusals(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{
		"tpm:x": `kind "tpm" is not known`, "": "is not known", "passphrase:hunter2": "never stands in an argument", "passphrase:fd=x": "fd=N",
		"pkcs11:token=t": "needs token", "vault:http://x/keys/k": "is not https://", "file:" + filepath.Join(t.TempDir(), "none"): "is missing",
	} {
		if s, err := seals.Open(t.Context(), seals.Request{Spec: spec, Instance: instance}); s != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v %v", spec, s, err)
		}
	}
}

func TestFileAndPassphrase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "seal")
	for range 2 { // the second finds the first one's
		s, err := seals.Create(t.Context(), seals.Request{Spec: "file:" + path, Instance: instance})
		if err != nil || s.(*barrier.FileSeal).InstanceID() != instance {
			t.Fatal(err)
		}
		s.Close()
	}
	if _, err := seals.Open(t.Context(), seals.Request{Spec: "file:" + path + "x"}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	secret := []byte("correct horse battery")
	s, err := seals.Create(t.Context(), seals.Request{Spec: "passphrase", Secret: secret})
	if err != nil || s.Describe() != "passphrase" {
		t.Fatal(err)
	}
	s.Close()
	if !bytes.Equal(secret, make([]byte, len(secret))) {
		t.Error("the passphrase is not wiped")
	}
	if !seals.NeedsSecret("passphrase:fd=3") || seals.NeedsSecret("file:/x") {
		t.Error("NeedsSecret")
	}
}
