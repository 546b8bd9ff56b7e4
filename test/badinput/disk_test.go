package badinput_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/test/harness"
)

const telltale = "telltale-on-the-disk"

// extents are the extent files below dir.
func extents(t *testing.T, dir string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".kxt") {
			out[path] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestDamagedExtents damages one extent file in every way while the server is
// down. That table answers with that extent's error; every other one answers
// as before; nothing is deleted, and the mended file answers again.
func TestDamagedExtents(t *testing.T) {
	t.Parallel()
	inst := harness.New(t)
	c := harness.Start(t, inst)
	uri, _ := harness.Cluster(t, c, "damaged", "db")
	rows := "range Id from 1 to 50000 step 1 | extend Text=strcat('" + telltale + "-', hash_md5(tostring(Id)))"
	sum := func(table string) string { return table + " | summarize count(), sum(Id), max(Text)" }
	one := func(command string) string { // the extent file that a command makes
		t.Helper()
		before := extents(t, inst.DataDir())
		harness.Command(t, c, uri, "db", command)
		for path := range extents(t, inst.DataDir()) {
			if !before[path] {
				return path
			}
		}
		t.Fatalf("%s made no extent", command)
		return ""
	}
	bad, other := one(".set Bad <| "+rows), one(".set Good <| "+rows)
	want, err := c.Query(t.Context(), uri, "db", sum("Good"))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(bad)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) []byte {
		b := append([]byte(nil), whole...)
		b[at] ^= 0x40
		return b
	}
	restart := func(damage func() error) *client.Client {
		t.Helper()
		if err := inst.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		return harness.Start(t, inst)
	}
	write := func(data []byte) func() error { return func() error { return os.WriteFile(bad, data, 0o600) } }
	id := strings.TrimSuffix(filepath.Base(bad), ".kxt")
	for _, tc := range []struct {
		name   string
		damage func() error
	}{
		{"cut at the end", write(whole[:len(whole)-100])},
		{"cut in the middle", write(whole[:len(whole)/2])},
		{"cut to nothing", write(nil)},
		{"flipped in the header", write(flip(40))},
		{"flipped in the middle", write(flip(len(whole) / 2))},
		{"flipped at the end", write(flip(len(whole) - 1))},
		{"longer", write(append(append([]byte(nil), whole...), "more"...))},
		{"another extent, with another key", write(foreign)},
		{"gone", func() error { return os.Remove(bad) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := restart(tc.damage)
			var refusal *client.RefusedError
			got, err := c.Query(t.Context(), uri, "db", sum("Bad"))
			if !errors.As(err, &refusal) || refusal.Status != 520 || refusal.Code != "ServiceError" || !strings.Contains(refusal.Message, id) {
				t.Errorf("the damaged extent: %v %v", got, err)
			}
			if err != nil && strings.Contains(err.Error(), telltale) {
				t.Errorf("a refusal holds a row: %v", err)
			}
			if got, err := c.Query(t.Context(), uri, "db", sum("Good")); err != nil || cmp.Diff(want, got) != "" {
				t.Errorf("the table beside it: %v %v", got, err)
			}
			harness.Command(t, c, uri, "db", ".append Good <| Good | take 0", ".show tables details")
			if tc.name != "gone" && !extents(t, inst.DataDir())[bad] {
				t.Error("the damaged file was deleted")
			}
		})
	}
	c = restart(write(whole))
	got, err := c.Query(t.Context(), uri, "db", sum("Bad"))
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("the mended file: %v %v", got, err)
	}
	nowhere(t, inst.Root, telltale)
}

// nowhere insists that text stands in no file below dir.
func nowhere(t *testing.T, dir, text string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(data), text) {
			t.Errorf("%s holds %q", path, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestWrongSeal: another instance's seal, a damaged one or none opens nothing,
// says so in a sentence, makes no new one, and changes nothing.
func TestWrongSeal(t *testing.T) {
	t.Parallel()
	inst, stranger := harness.New(t), harness.New(t)
	c := harness.Start(t, inst)
	harness.Start(t, stranger)
	uri, _ := harness.Cluster(t, c, "sealed", "db")
	harness.Command(t, c, uri, "db", ".set T <| print Id=42")
	if err := errors.Join(inst.Stop(), stranger.Stop()); err != nil {
		t.Fatal(err)
	}
	seal, err := os.ReadFile(inst.SealPath())
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(stranger.SealPath())
	if err != nil {
		t.Fatal(err)
	}
	for name, put := range map[string]func() error{
		"another instance's": func() error { return os.WriteFile(inst.SealPath(), foreign, 0o600) },
		"cut":                func() error { return os.WriteFile(inst.SealPath(), seal[:len(seal)/2], 0o600) },
		"missing":            func() error { return os.Remove(inst.SealPath()) },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), harness.Binary(t), "up", "--data", inst.DataDir(), "--seal", "file:"+inst.SealPath(), "--proxy", "127.0.0.1:0", "--listen", "127.0.0.1:0").CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() <= 0 || len(out) == 0 || strings.Contains(string(out), "goroutine ") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if name == "missing" {
			if _, err := os.Stat(inst.SealPath()); err == nil || !strings.Contains(string(out), inst.SealPath()) {
				t.Errorf("a new seal was made, or its path is not named: %s", out)
			}
		}
	}
	if err := os.WriteFile(inst.SealPath(), seal, 0o600); err != nil {
		t.Fatal(err)
	}
	c = harness.Start(t, inst)
	if got, err := c.Query(t.Context(), uri, "db", "T"); err != nil || fmt.Sprint(got) != "[[42]]" {
		t.Errorf("after the right seal came back: %v %v", got, err)
	}
}
