package wal

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whoever keeps a list of segments hears of each when its file is there and nothing is
// in it. When it cannot be noted the records are refused, and the file stays: it may
// be on the list.
func TestBegun(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	cfg.SegmentBytes = 1 // each record begins a segment
	var noted []string
	refusal := errors.New("the list is full")
	refuse := false
	cfg.Begun = func(s Segment) error {
		there, err := Segments(cfg.Dir, cfg.DatabaseID)
		must(t, err)
		newest := there[len(there)-1]
		if newest.ID != s.ID || newest.Size != int64(newest.HeaderBytes) || newest.Sequence != s.Sequence {
			t.Errorf("told of %s, number %d: there is %s, number %d, of %d bytes", s.ID, s.Sequence, newest.ID, newest.Sequence, newest.Size)
		}
		noted = append(noted, s.ID)
		if refuse {
			return refusal
		}
		return nil
	}
	l := open(t, cfg)
	must(t, l.Append(ctx, []byte("a")))
	must(t, l.Append(ctx, []byte("b")))
	refuse = true
	if err := l.Append(ctx, []byte("c")); !errors.Is(err, refusal) {
		t.Errorf("refused: %v", err)
	}
	refuse = false
	must(t, l.Append(ctx, []byte("d")))
	got, _, err := recoverAll(t, cfg)
	must(t, err)
	if diff := cmp.Diff([]string{"a", "b", "d"}, got); diff != "" {
		t.Errorf("(-appended +recovered):\n%s", diff)
	}
	ended, err := l.Rotate()
	must(t, err)
	if !slices.Equal(noted, ended) || len(ended) != 4 {
		t.Errorf("noted %v, ended %v", noted, ended)
	}
	must(t, l.Remove(ended...))
	there, err := Segments(cfg.Dir, cfg.DatabaseID)
	must(t, err)
	if len(there) != 0 {
		t.Errorf("left: %v", there)
	}
}

func TestRuns(t *testing.T) {
	t.Parallel()
	numbered := func(numbers ...uint64) (out []Segment) {
		for _, n := range numbers {
			out = append(out, Segment{Sequence: n})
		}
		return out
	}
	missing := func(n uint64) bool { return n == 3 || n == 6 || n == 7 }
	for name, c := range map[string]struct {
		segments []Segment
		want     [][]Segment
	}{
		"none":                      {nil, nil},
		"none missing":              {numbered(3, 4, 5, 6), [][]Segment{numbered(3, 4, 5, 6)}},
		"one missing":               {numbered(1, 2, 4, 5), [][]Segment{numbered(1, 2), numbered(4, 5)}},
		"some missing":              {numbered(2, 4, 5, 8), [][]Segment{numbered(2), numbered(4, 5), numbered(8)}},
		"one that must not":         {numbered(4, 6), [][]Segment{numbered(4, 6)}},
		"one that may, and another": {numbered(2, 5), [][]Segment{numbered(2, 5)}},
		"twice the same":            {numbered(2, 2), [][]Segment{numbered(2, 2)}},
	} {
		if diff := cmp.Diff(c.want, Runs(c.segments, missing), cmp.AllowUnexported(Segment{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
