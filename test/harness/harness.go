// Package harness builds the binary and runs servers for black-box tests.
package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/kustos-io/kustos/internal/client"
)

// build holds the one binary of a test process.
var build = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("KUSTOS_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	dir, err := os.MkdirTemp("", "kustos-binary-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "kustos")
	out, err := exec.Command("go", "build", "-o", path, "github.com/kustos-io/kustos/cmd/kustos").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// Binary is the path of a kustos built from this tree, or $KUSTOS_BINARY.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Cleanup removes the binary that Binary built; call it at the end of TestMain.
func Cleanup() {
	if path, err := build(); err == nil && os.Getenv("KUSTOS_BINARY") == "" {
		_ = os.RemoveAll(filepath.Dir(path))
	}
}

// New prepares an instance in the test's own folder and stops it at the end,
// insisting on a clean exit.
func New(t testing.TB, args ...string) *client.Instance {
	t.Helper()
	inst := client.NewInstance(Binary(t), t.TempDir(), args...)
	t.Cleanup(func() {
		err := inst.Stop()
		if err == nil && !t.Failed() {
			return
		}
		log, readErr := os.ReadFile(filepath.Join(inst.Root, "server.log"))
		if len(log) > 6000 {
			log = log[len(log)-6000:]
		}
		t.Log(errors.Join(err, readErr), "\nthe server's last lines:\n"+string(log))
		if err != nil {
			t.Fail()
		}
	})
	return inst
}

// Start starts the instance and returns its client.
func Start(t testing.TB, inst *client.Instance) *client.Client {
	t.Helper()
	c, _, err := inst.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}
