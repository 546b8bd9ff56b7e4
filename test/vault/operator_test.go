package vault_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/test/harness"
)

const wrapBody = `{"alg":"RSA-OAEP-256","value":"c2VjcmV0LXNlY3JldA"}`

func raw(s string) rawJSON { return rawJSON(s) }

type rawJSON string

func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// TestSealAndUnseal: while sealed everything is a 503; afterwards the same key
// unwraps what was wrapped before.
func TestSealAndUnseal(t *testing.T) {
	t.Parallel()
	inst := harness.New(t)
	c := harness.Start(t, inst)
	k := newVault(t, c, "kvseal")
	k.must("POST", "/keys/k/create", raw(`{"kty":"RSA"}`))
	wrapped := k.must("POST", "/keys/k/wrapkey", raw(wrapBody)).Value
	if out := mustKustos(t, inst, "operator", "rotate"); !strings.Contains(out, "data key 2") {
		t.Errorf("rotate: %s", out)
	}
	mustKustos(t, inst, "operator", "seal")
	if out := mustKustos(t, inst, "operator", "status"); !strings.Contains(out, `"sealed": true`) {
		t.Errorf("status: %s", out)
	}
	a, err := k.try("POST", "/keys/k/unwrapkey", raw(`{"alg":"RSA-OAEP-256","value":"`+wrapped+`"}`))
	if err != nil || a.Status != 503 || !strings.Contains(string(a.Body), "ServiceUnavailable") {
		t.Errorf("while sealed: %v %d %s", err, a.Status, a.Body)
	}
	for _, args := range [][]string{{"operator", "seal"}, {"operator", "rotate"}, {"operator", "rekey"}, {"audit", "verify"}} {
		if _, err := kustos(t, inst, nil, args...); err == nil || !strings.Contains(err.Error(), "is sealed") {
			t.Errorf("%v while sealed: %v", args, err)
		}
	}
	hidden := inst.SealPath() + ".away"
	if err := os.Rename(inst.SealPath(), hidden); err != nil {
		t.Fatal(err)
	}
	if _, err := kustos(t, inst, nil, "operator", "unseal"); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("unseal without the seal: %v", err)
	}
	if err := os.Rename(hidden, inst.SealPath()); err != nil {
		t.Fatal(err)
	}
	mustKustos(t, inst, "operator", "unseal")
	if got := k.must("POST", "/keys/k/unwrapkey", raw(`{"alg":"RSA-OAEP-256","value":"`+wrapped+`"}`)).Value; got != "c2VjcmV0LXNlY3JldA" {
		t.Errorf("unwrapped %q", got)
	}
	if _, err := kustos(t, inst, nil, "operator", "unseal"); err == nil || !strings.Contains(err.Error(), "not sealed") {
		t.Errorf("unseal twice: %v", err)
	}
	if out := mustKustos(t, inst, "audit", "tail", "--operation", "operator/"); strings.Count(out, "operator/") != 3 {
		t.Errorf("operator's deeds: %s", out)
	}
}

// TestRekeyToAnotherSeal: after a change to a passphrase the file opens nothing.
func TestRekeyToAnotherSeal(t *testing.T) {
	t.Parallel()
	inst := harness.New(t)
	k := newVault(t, harness.Start(t, inst), "kvrekey")
	was := k.must("POST", "/keys/k/create", raw(`{"kty":"EC"}`)).Key.X
	words := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(words, []byte("correct horse battery\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"KUSTOS_PASSPHRASE_FILE=" + words}
	if _, err := kustos(t, inst, env, "operator", "rekey", "--seal", "passphrase"); err != nil {
		t.Fatal(err)
	}
	mustKustos(t, inst, "operator", "seal")
	if _, err := kustos(t, inst, env, "operator", "unseal"); err != nil {
		t.Fatal(err)
	}
	if is := k.must("GET", "/keys/k", nil).Key.X; is != was {
		t.Error("the key changed")
	}
	other := filepath.Join(t.TempDir(), "seal")
	if out := mustKustos(t, inst, "operator", "rekey", "--seal", "file:"+other); !strings.Contains(out, other) {
		t.Errorf("rekey: %s", out)
	}
	if err := inst.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := kustos(t, inst, nil, "audit", "verify", "--seal", "file:"+inst.SealPath()); err == nil || !strings.Contains(err.Error(), "does not open") {
		t.Errorf("the old seal: %v", err)
	}
	if err := errors.Join(os.Remove(inst.SealPath()), os.Rename(other, inst.SealPath())); err != nil {
		t.Fatal(err)
	}
	k.Client = harness.Start(t, inst)
	if is := k.must("GET", "/keys/k", nil).Key.X; is != was {
		t.Error("the key changed after a restart")
	}
}

// TestAuditOfARun: what was done and refused is in the log, nothing secret is,
// and a log that was shortened does not verify.
func TestAuditOfARun(t *testing.T) {
	t.Parallel()
	inst := harness.New(t)
	k := newVault(t, harness.Start(t, inst), "kvaudit")
	k.must("POST", "/keys/k/create", raw(`{"kty":"RSA"}`))
	k.must("POST", "/keys/k/wrapkey", raw(wrapBody))
	k.must("PUT", "/secrets/s", raw(`{"value":"hunter2-hunter2"}`))
	k.must("PATCH", "/keys/k", raw(`{"attributes":{"enabled":false}}`))
	if a, err := k.try("POST", "/keys/k/wrapkey", raw(wrapBody)); err != nil || a.Status != 403 {
		t.Errorf("disabled: %v %d", err, a.Status)
	}
	out := mustKustos(t, inst, "audit", "tail", "-n", "100")
	for _, want := range []string{"allowed vaults/write ", "allowed keys/create ", "allowed keys/wrapKey ", "allowed secrets/set ", "allowed keys/update ", `refused keys/wrapKey `, "KeyDisabled", "vaults/kvaudit/keys/k"} {
		if !strings.Contains(out, want) {
			t.Errorf("not in the log: %q\n%s", want, out)
		}
	}
	if strings.Contains(out, "hunter2") || strings.Contains(out, "c2VjcmV0") {
		t.Error("a secret is in the log")
	}
	if refused := mustKustos(t, inst, "audit", "tail", "--result", "refused", "--scope", "kvaudit/keys"); strings.Count(refused, "\n") < 1 || strings.Contains(refused, "allowed") {
		t.Errorf("filtered: %s", refused)
	}
	mustKustos(t, inst, "audit", "verify")
	if err := inst.Stop(); err != nil {
		t.Fatal(err)
	}
	seal := "file:" + inst.SealPath()
	mustKustos(t, inst, "audit", "verify", "--seal", seal)
	files, err := filepath.Glob(filepath.Join(inst.DataDir(), "audit", "*.kal"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil || strings.Contains(string(data), "kvaudit") {
		t.Errorf("the log is in clear, or gone: %v", err)
	}
	if err := os.Truncate(files[0], int64(len(data)-1)); err != nil {
		t.Fatal(err)
	}
	if _, err := kustos(t, inst, nil, "audit", "verify", "--seal", seal); err == nil || !strings.Contains(err.Error(), "taken off the end") {
		t.Errorf("a shortened log: %v", err)
	}
}
