package server

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/config"
)

func testConfig(t *testing.T) config.Config {
	t.Helper()
	root := t.TempDir()
	return config.Config{DataDir: filepath.Join(root, "data"), Seal: "file:" + filepath.Join(root, "seal")}
}

func sealPath(cfg config.Config) string { return strings.TrimPrefix(cfg.Seal, "file:") }

func mustOpen(t *testing.T, cfg config.Config) *instance {
	t.Helper()
	in, err := openInstance(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestSecondServerIsRefused(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	in := mustOpen(t, cfg)
	if _, err := openInstance(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "another kustos server is running on "+cfg.DataDir) {
		t.Errorf("second start: %v", err)
	}
	id := in.barrier.InstanceID()
	if err := in.close(); err != nil {
		t.Fatal(err)
	}
	again := mustOpen(t, cfg)
	if again.barrier.InstanceID() != id {
		t.Error("the instance id changed")
	}
	if err := again.close(); err != nil {
		t.Error(err)
	}
}

// A server that was killed may still hold the lock for a moment.
func TestTheLockIsWaitedFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	held, err := lockDir(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	go held.Close()
	again, err := lockDir(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lockDir(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("a start that is broken off while it waits: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestMissingSealIsRefusedByPath(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	if err := mustOpen(t, cfg).close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(sealPath(cfg)); err != nil {
		t.Fatal(err)
	}
	if _, err := openInstance(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), sealPath(cfg)) {
		t.Errorf("start without a seal: %v", err)
	}
	if _, err := os.Stat(sealPath(cfg)); err == nil {
		t.Error("a new seal was made for existing data")
	}
}

func TestMissingKeyringIsRefused(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	if err := mustOpen(t, cfg).close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(cfg.DataDir, barrier.KeyringName)); err != nil {
		t.Fatal(err)
	}
	if _, err := openInstance(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), barrier.KeyringName) {
		t.Errorf("start without a keyring: %v", err)
	}
}

func TestForeignSealIsRefused(t *testing.T) {
	t.Parallel()
	one, two := testConfig(t), testConfig(t)
	for _, cfg := range []config.Config{one, two} {
		if err := mustOpen(t, cfg).close(); err != nil {
			t.Fatal(err)
		}
	}
	one.Seal = two.Seal
	if in, err := openInstance(t.Context(), one); err == nil {
		in.close()
		t.Error("another instance's seal opened the folder")
	}
}

func TestInterruptedFirstStart(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	seal, err := barrier.CreateFileSeal(sealPath(cfg)) // as far as the first start got
	if err != nil {
		t.Fatal(err)
	}
	seal.Close()
	if err := mustOpen(t, cfg).close(); err != nil {
		t.Error(err)
	}
}
