package wal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/envelope"
)

// specimen is one segment in memory with the offsets of its frames.
type specimen struct {
	segment Segment
	dek     envelope.DEK
	data    []byte
	offsets []int64 // of the frames; the end frame included when there is one
	records []string
}

// newSpecimen writes count records of 700 bytes and more, one a frame.
func newSpecimen(t testing.TB, cfg Config, count int, end bool) specimen {
	t.Helper()
	l := open(t, cfg)
	var s specimen
	for i := range count {
		if i > 0 {
			s.offsets = append(s.offsets, l.current.size)
		}
		r := strings.Repeat(fmt.Sprint(i), 700+i)
		must(t, l.Append(ctx, []byte(r)))
		s.records = append(s.records, r)
	}
	if end {
		s.offsets = append(s.offsets, l.current.size)
		must(t, l.Close())
	}
	there, err := Segments(cfg.Dir, "")
	must(t, err)
	s.segment = there[0]
	s.offsets = append([]int64{int64(s.segment.HeaderBytes)}, s.offsets...)
	if s.data, err = os.ReadFile(s.segment.Path); err != nil {
		t.Fatal(err)
	}
	s.dek, err = cfg.Keys.(Unwrapper).UnwrapDEK(s.segment.Object(), 1, s.segment.WrappedDEK)
	must(t, err)
	return s
}

// run replays other bytes in place of the specimen's.
func (s specimen) run(data []byte) (records []string, result Result, err error) {
	r := bytes.NewReader(data)
	seg, err := parseSegment(r, int64(len(data)))
	if err != nil {
		return nil, Result{}, err
	}
	result, err = replay(ctx, r, seg, s.dek, func(b []byte) error { records = append(records, string(b)); return nil })
	return records, result, err
}

// whole is how many frames lie wholly before n.
func (s specimen) whole(n int) int {
	count := 0
	for i := range s.offsets {
		end := int64(len(s.data))
		if i+1 < len(s.offsets) {
			end = s.offsets[i+1]
		}
		if end <= int64(n) {
			count++
		}
	}
	return count
}

// TestCutAnywhere: a crash can leave any prefix of a segment; the replay gives
// the records of the whole frames and no error.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	bothLayers(t, cutAnywhere)
}

func cutAnywhere(t *testing.T, cfg Config) {
	s := newSpecimen(t, cfg, 3, false)
	for n := s.segment.HeaderBytes; n <= len(s.data); n++ {
		records, result, err := s.run(s.data[:n])
		want := s.whole(n)
		if err != nil || !slices.Equal(records, s.records[:want]) {
			t.Fatalf("cut at %d: %d records, %v; want %d", n, len(records), err, want)
		}
		wantTorn := int64(-1)
		if want < 3 && int64(n) != s.offsets[want] {
			wantTorn = s.offsets[want]
		}
		if result.TornAt != wantTorn {
			t.Fatalf("cut at %d: torn at %d, want %d", n, result.TornAt, wantTorn)
		}
	}
}

// TestEveryChangedByteIsFound: also in the last frame, which was acknowledged.
func TestEveryChangedByteIsFound(t *testing.T) {
	t.Parallel()
	bothLayers(t, everyChangedByteIsFound)
}

func everyChangedByteIsFound(t *testing.T, cfg Config) {
	for _, end := range []bool{false, true} {
		cfg.Dir = t.TempDir()
		s := newSpecimen(t, cfg, 3, end)
		for at := range s.data {
			bad := bytes.Clone(s.data)
			bad[at] ^= 0x10
			if records, _, err := s.run(bad); err == nil {
				t.Fatalf("byte %d: %d records and no error", at, len(records))
			}
		}
	}
}

// TestUnwrittenSectors: a power cut can leave any of the last frame's sectors
// unwritten, the file's size being that of the whole frame or less.
func TestUnwrittenSectors(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		cfg := newConfig(t)
		if rapid.Bool().Draw(rt, "layered") {
			cfg = layered(t)
		}
		s := newSpecimen(t, cfg, rapid.IntRange(1, 3).Draw(rt, "frames"), false)
		last := s.offsets[len(s.offsets)-1]
		data := bytes.Clone(s.data)
		lost := 0
		for off := last; off < int64(len(data)); {
			n := min(sector-off%sector, int64(len(data))-off)
			if rapid.Bool().Draw(rt, "lost") {
				clear(data[off : off+n])
				lost++
			}
			off += n
		}
		if rapid.Bool().Draw(rt, "shorter") {
			data = data[:rapid.IntRange(int(last), len(data)).Draw(rt, "size")]
		}
		records, result, err := s.run(data)
		want := s.records[:len(s.records)-1]
		if lost == 0 && len(data) == len(s.data) {
			want = s.records
		}
		if err != nil || !slices.Equal(records, want) {
			rt.Fatalf("%d sectors lost, %d of %d bytes: %d records, %+v, %v", lost, len(data), len(s.data), len(records), result, err)
		}
	})
}

func TestTampering(t *testing.T) {
	t.Parallel()
	bothLayers(t, tampering)
}

func tampering(t *testing.T, cfg Config) {
	s := newSpecimen(t, cfg, 4, true)
	cfg.Dir = t.TempDir()
	other := newSpecimen(t, cfg, 4, true)
	frame := func(s specimen, i int) []byte {
		if i+1 == len(s.offsets) {
			return s.data[s.offsets[i]:]
		}
		return s.data[s.offsets[i]:s.offsets[i+1]]
	}
	join := func(parts ...[]byte) []byte {
		return slices.Concat(append([][]byte{s.data[:s.offsets[0]]}, parts...)...)
	}
	for name, data := range map[string][]byte{
		"frame removed":             join(frame(s, 0), frame(s, 2), frame(s, 3), frame(s, 4)),
		"first frame removed":       join(frame(s, 1), frame(s, 2), frame(s, 3), frame(s, 4)),
		"frames swapped":            join(frame(s, 1), frame(s, 0), frame(s, 2), frame(s, 3), frame(s, 4)),
		"frame repeated":            join(frame(s, 0), frame(s, 0), frame(s, 1)),
		"frame of another segment":  join(frame(s, 0), frame(other, 1), frame(s, 2), frame(s, 3), frame(s, 4)),
		"last frame of another":     join(frame(s, 0), frame(other, 1)),
		"all frames of another":     slices.Concat(s.data[:s.offsets[0]], other.data[other.offsets[0]:]),
		"end frame early":           join(frame(s, 0), frame(s, 4)),
		"bytes after the end":       append(bytes.Clone(s.data), 0),
		"frame after the end":       join(frame(s, 0), frame(s, 1), frame(s, 2), frame(s, 3), frame(s, 4), frame(s, 0)),
		"sector zeroed in between":  zero(s.data, s.offsets[1]+50, 600),
		"frame zeroed in between":   zero(s.data, s.offsets[1], s.offsets[2]-s.offsets[1]),
		"bytes cut out in between":  slices.Concat(s.data[:s.offsets[1]+100], s.data[s.offsets[1]+164:]),
		"bytes cut out, unaligned":  slices.Concat(s.data[:s.offsets[1]+100], s.data[s.offsets[1]+107:]),
		"garbage appended":          join(frame(s, 0), bytes.Repeat([]byte{0xEE}, 64)),
		"last frame's tail swapped": join(frame(s, 0), frame(s, 1)[:200], frame(s, 2)[200:]),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, result, err := s.run(data)
			var c *CorruptError
			if !errors.As(err, &c) || !errors.Is(err, ErrCorrupt) || c.SegmentID != s.segment.ID || c.Offset < s.offsets[0] {
				t.Errorf("got %+v, %v", result, err)
			}
		})
	}
}

func TestWrongKeyAndHeader(t *testing.T) {
	t.Parallel()
	s := newSpecimen(t, newConfig(t), 1, true)
	if _, _, err := s.run(zero(s.data, 16, 16)); !errors.Is(err, aead.ErrAuthentication) {
		t.Errorf("header: %v", err)
	}
	s.dek = envelope.NewDEK()
	if _, _, err := s.run(s.data); !errors.Is(err, aead.ErrAuthentication) {
		t.Errorf("wrong key: %v", err)
	}
	s.dek.Wipe()
	if _, _, err := s.run(s.data); !errors.Is(err, aead.ErrWiped) {
		t.Errorf("wiped key: %v", err)
	}
}

func zero(data []byte, off, n int64) []byte {
	out := bytes.Clone(data)
	clear(out[off : off+n])
	return out
}

// TestRecoverSeesWhatOneSegmentCannot: whole segments or their ends taken away.
func TestRecoverSeesWhatOneSegmentCannot(t *testing.T) {
	t.Parallel()
	bothLayers(t, recoverSeesWhatOneSegmentCannot)
}

func recoverSeesWhatOneSegmentCannot(t *testing.T, cfg Config) {
	tag := int64(envelope.TagSize(cfg.Keys.(*keys).layer != aead.Key{}))
	arrange := func(t *testing.T) (Config, []Segment) {
		cfg := cfg
		cfg.Dir = t.TempDir()
		l := open(t, cfg)
		for i := range 3 {
			must(t, l.Append(ctx, fmt.Append(nil, i)))
			_, err := l.Rotate()
			must(t, err)
		}
		must(t, l.Close())
		there, err := Segments(cfg.Dir, "")
		must(t, err)
		return cfg, there
	}
	wantCorrupt := func(t *testing.T, cfg Config, segment string) {
		t.Helper()
		_, _, err := recoverAll(t, cfg)
		var c *CorruptError
		if !errors.As(err, &c) || c.SegmentID != segment {
			t.Errorf("got %v", err)
		}
	}
	t.Run("segment missing", func(t *testing.T) {
		t.Parallel()
		cfg, there := arrange(t)
		must(t, os.Remove(there[1].Path))
		wantCorrupt(t, cfg, there[2].ID)
	})
	t.Run("oldest gone is fine", func(t *testing.T) {
		t.Parallel()
		cfg, there := arrange(t)
		must(t, Remove(cfg.Dir, there[0].ID))
		if got, _, err := recoverAll(t, cfg); err != nil || !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("%v, %v", got, err)
		}
	})
	t.Run("end cut off", func(t *testing.T) {
		t.Parallel()
		cfg, there := arrange(t)
		must(t, os.Truncate(there[0].Path, there[0].Size-frameFixed-align-2*tag))
		wantCorrupt(t, cfg, there[0].ID)
	})
	t.Run("cut in a frame", func(t *testing.T) {
		t.Parallel()
		cfg, there := arrange(t)
		must(t, os.Truncate(there[1].Path, int64(there[1].HeaderBytes)+40))
		wantCorrupt(t, cfg, there[1].ID)
	})
	t.Run("crash between runs is fine", func(t *testing.T) {
		t.Parallel()
		cfg, there := arrange(t)
		must(t, os.Truncate(there[2].Path, there[2].Size-1))
		must(t, open(t, cfg).Append(ctx, []byte("next run")))
		got, results, err := recoverAll(t, cfg)
		if err != nil || !slices.Equal(got, []string{"0", "1", "2", "next run"}) || results[2].TornAt < 0 {
			t.Errorf("%v, %+v, %v", got, results, err)
		}
	})
	t.Run("fn refuses", func(t *testing.T) {
		t.Parallel()
		cfg, there := arrange(t)
		refused := errors.New("refused")
		_, err := Recover(ctx, there, cfg.Keys.(Unwrapper), func(Segment, []byte) error { return refused })
		if !errors.Is(err, refused) {
			t.Errorf("got %v", err)
		}
	})
}

// TestKillNine ends a child that appends as fast as it can with SIGKILL: every
// record it said was acknowledged is there.
func TestKillNine(t *testing.T) {
	if dir := os.Getenv("KUSTOS_WAL_TEST_CHILD"); dir != "" {
		child(t, dir)
		return
	}
	t.Parallel()
	for range 5 {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run=^TestKillNine$")
		cmd.Env = append(os.Environ(), "KUSTOS_WAL_TEST_CHILD="+dir)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		acked := 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			acked++
			if acked == 40 {
				must(t, cmd.Process.Kill())
			}
		}
		_ = cmd.Wait() // it was killed
		got, _, err := recoverAll(t, childConfig(t, dir))
		if err != nil || len(got) < acked || acked < 40 {
			t.Errorf("acknowledged %d, recovered %d, %v", acked, len(got), err)
		}
		for i, r := range got {
			if r != fmt.Sprint("record ", i) {
				t.Errorf("record %d is %q", i, r)
			}
		}
	}
}

func childConfig(t *testing.T, dir string) Config {
	key, err := aead.KeyFrom(bytes.Repeat([]byte{9}, aead.KeySize))
	must(t, err)
	return Config{Dir: filepath.Join(dir, "wal"), DatabaseID: "0a0b0c0d-0102-4304-8506-a70809000001", Keys: &keys{key: key}, SegmentBytes: 1000}
}

func child(t *testing.T, dir string) {
	l := open(t, childConfig(t, dir))
	for i := 0; ; i++ {
		must(t, l.Append(ctx, fmt.Append(nil, "record ", i)))
		fmt.Println("acknowledged", i)
	}
}

// FuzzReplay: no input panics, and nothing but what was written comes out.
func FuzzReplay(f *testing.F) {
	s, double := newSpecimen(f, newConfig(f), 3, true), newSpecimen(f, layered(f), 3, true)
	f.Add(s.data)
	f.Add(double.data)
	f.Add(s.data[:s.segment.HeaderBytes])
	f.Add(s.data[:s.offsets[2]+40])
	for _, at := range []int64{9, 11, 15, 51, 77, 79, s.offsets[1] + 4, s.offsets[1] + 15, s.offsets[2] + 40} {
		bad := bytes.Clone(s.data)
		bad[at]++
		f.Add(bad)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := s
		if len(data) > 9 && data[9] == layeredVersion {
			s = double
		}
		records, _, err := s.run(data)
		if len(records) > len(s.records) || !slices.Equal(records, s.records[:len(records)]) {
			t.Errorf("%d records, %v", len(records), err)
		}
		if err == nil && len(records) < len(s.records) && len(data) >= len(s.data) && !bytes.Contains(data, make([]byte, align)) {
			t.Errorf("records went missing quietly")
		}
	})
}
