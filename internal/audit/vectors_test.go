package audit_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/audit"
)

var update = flag.Bool("update", false, "write the vectors anew")

// vector is one log and what must be found in it. Key seals the bodies with
// AES-256-GCM, the context of docs/format.md as AAD.
type vector struct {
	Name     string     `json:"name"`
	Key      []byte     `json:"key"`
	Head     audit.Head `json:"head"`
	Problems []string   `json:"problems"` // parts of what Verify says, in order
	Events   uint64     `json:"events"`
}

const (
	headerLen = 88
	frameHead = 48
)

// frames cuts a segment into its header and frames.
func frames(t *testing.T, data []byte) [][]byte {
	t.Helper()
	out := [][]byte{data[:headerLen]}
	for at := headerLen; at < len(data); {
		n := frameHead + int(binary.BigEndian.Uint32(data[at+4:]))
		out = append(out, data[at:at+n])
		at += n
	}
	return out
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

// damage is every way of being bad, on a log of two segments with three and
// two frames of one event each.
func damage(t *testing.T, one, two []byte) map[string]struct {
	one, two []byte // nil: no such file
	problems []string
} {
	a, b := frames(t, one), frames(t, two)
	end := len(a[2]) - 1
	return map[string]struct {
		one, two []byte
		problems []string
	}{
		"good":             {one, two, nil},
		"changed-body":     {join(a[0], a[1], flip(a[2], end), a[3]), two, []string{"open frame 2", "does not follow"}},
		"changed-number":   {join(a[0], a[1], flip(a[2], 15), a[3]), two, []string{"frames 2 to 2 are missing", "open frame 3", "stands where frame 4 should", "event 3 stands"}},
		"changed-link":     {join(a[0], a[1], flip(a[2], 20), a[3]), two, []string{"does not follow", "open frame 2", "does not follow"}},
		"changed-marker":   {join(a[0], a[1], flip(a[2], 0), a[3]), two, []string{"no frame begins here", "frames 2 to 3 are missing"}},
		"changed-header":   {join(flip(a[0], 60), a[1], a[2], a[3]), two, []string{"does not follow", "does not follow"}},
		"other-instance":   {join(flip(a[0], 15), a[1], a[2], a[3]), two, []string{"is of another instance"}},
		"newer-format":     {join(flip(a[0], 8), a[1], a[2], a[3]), two, []string{"this binary knows up to 1", "frames 1 to 3 are missing"}},
		"frames-exchanged": {join(a[0], a[2], a[1], a[3]), two, []string{"frames 1 to 1 are missing", "event 2 stands", "stands where frame 3 should", "event 1 stands", "frames 2 to 2 are missing", "event 3 stands"}},
		"frame-repeated":   {join(a[0], a[1], a[1], a[2], a[3]), two, []string{"stands where frame 2 should", "event 1 stands"}},
		"frame-removed":    {join(a[0], a[1], a[3]), two, []string{"frames 2 to 2 are missing", "event 3 stands"}},
		"tail-removed":     {one, join(b[0], b[1]), []string{"1 frames were taken off the end"}},
		"tail-truncated":   {one, two[:len(two)-1], []string{"1 frames were taken off the end"}},
		"middle-truncated": {one[:len(one)-1], two, []string{"ends inside a frame", "frames 3 to 3 are missing", "event 4 stands"}},
		"newest-removed":   {one, nil, []string{"2 frames were taken off the end"}},
		"oldest-removed":   {nil, two, []string{"frames 1 to 3 are missing", "event 4 stands"}},
		"all-removed":      {nil, nil, []string{"5 frames were taken off the end"}},
	}
}

const vectorDir = "testdata/vectors"

func TestVectors(t *testing.T) {
	t.Parallel()
	if *update {
		writeVectors(t)
	}
	index, err := os.ReadFile(filepath.Join(vectorDir, "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(index, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) < 17 {
		t.Errorf("only %d vectors", len(all))
	}
	for _, v := range all {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			key, err := aead.KeyFrom(v.Key)
			if err != nil {
				t.Fatal(err)
			}
			r, err := audit.Verify(filepath.Join(vectorDir, v.Name), instance, box{key}, v.Head)
			if err != nil {
				t.Fatal(err)
			}
			if len(v.Problems) == 0 && (!r.Good() || r.Events != v.Events) || len(v.Problems) > 0 && r.Good() {
				t.Errorf("%+v", r)
			}
			rest := r.Problems
			for _, want := range v.Problems {
				for len(rest) > 0 && !strings.Contains(rest[0].What, want) {
					rest = rest[1:]
				}
				if len(rest) == 0 {
					t.Errorf("not found: %q in %v", want, r.Problems)
					break
				}
			}
			if blind, err := audit.Verify(filepath.Join(vectorDir, v.Name), instance, nil, v.Head); err != nil || blind.Good() != r.Good() {
				t.Errorf("without the key: %+v, %v", blind, err)
			}
		})
	}
}

func writeVectors(t *testing.T) {
	f := setup(t)
	var raw []byte
	if err := f.cfg.Sealer.(box).key.Reveal(func(k []byte) error { raw = bytes.Clone(k); return nil }); err != nil {
		t.Fatal(err)
	}
	f.write(3)
	f.write(2)
	files := f.segments()
	one, err1 := os.ReadFile(files[0])
	two, err2 := os.ReadFile(files[1])
	head, err3 := audit.ReadHead(t.Context(), f.cfg.Store)
	if err := errors.Join(err1, err2, err3, os.RemoveAll(vectorDir)); err != nil {
		t.Fatal(err)
	}
	var all []vector
	for name, d := range damage(t, one, two) {
		dir := filepath.Join(vectorDir, name)
		err := os.MkdirAll(dir, 0o755)
		for i, data := range [][]byte{d.one, d.two} {
			if data != nil {
				err = errors.Join(err, os.WriteFile(filepath.Join(dir, filepath.Base(files[i])), data, 0o644))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		if d.one == nil && d.two == nil { // an empty folder is not kept by version control
			_ = os.Remove(dir)
		}
		all = append(all, vector{Name: name, Key: raw, Head: head, Problems: d.problems, Events: 5})
	}
	slices.SortFunc(all, func(a, b vector) int { return strings.Compare(a.Name, b.Name) })
	data, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(vectorDir, "vectors.json"), append(data, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
