package wal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/ids"
)

// A header that is damaged is no trouble to the log of another database in the
// same folder, and stops its own.
func TestDamagedHeaders(t *testing.T) {
	t.Parallel()
	mine := newConfig(t)
	other := mine
	other.DatabaseID = ids.NewGUID()
	must(t, open(t, mine).Append(ctx, []byte("mine")))
	must(t, open(t, other).Append(ctx, []byte("other")))
	there, err := Segments(mine.Dir, mine.DatabaseID)
	must(t, err)
	raw, err := os.ReadFile(there[0].Path)
	must(t, err)
	for name, c := range map[string]struct {
		raw   []byte
		owner string
		want  error
	}{
		"magic":     {append([]byte("X"), raw[1:]...), mine.DatabaseID, ErrNotSegment},
		"flags":     {slices.Concat(raw[:10], []byte{1}, raw[11:]), mine.DatabaseID, ErrReserved},
		"cut":       {raw[:60], mine.DatabaseID, ErrTruncated},
		"cut short": {raw[:40], "", ErrTruncated},
		"empty":     {nil, "", ErrNotSegment},
	} {
		must(t, os.WriteFile(there[0].Path, c.raw, 0o600))
		segments, unreadable, err := List(mine.Dir)
		must(t, err)
		if len(segments) != 1 || segments[0].DatabaseID != other.DatabaseID || len(unreadable) != 1 {
			t.Fatalf("%s: %v, %v", name, segments, unreadable)
		}
		u := unreadable[0]
		if u.ID != there[0].ID || u.Path != there[0].Path || u.DatabaseID != c.owner || !errors.Is(u.Cause, c.want) {
			t.Errorf("%s: %+v", name, u)
		}
		if _, err := Segments(mine.Dir, other.DatabaseID); !errors.Is(err, c.want) {
			t.Errorf("%s: whoever must know all segments hears %v", name, err)
		}
		if l, err := New(mine); !errors.Is(err, c.want) {
			t.Errorf("%s: a log without its number was opened: %v, %v", name, l, err)
		}
		if c.owner == "" { // it may be anybody's
			if l, err := New(other); !errors.Is(err, c.want) {
				t.Errorf("%s: a log was opened that may lack a number: %v, %v", name, l, err)
			}
			continue
		}
		must(t, open(t, other).Append(ctx, []byte("goes on")))
		must(t, Remove(mine.Dir, segments[0].ID)) // beside it
	}
	must(t, Remove(mine.Dir, there[0].ID))
	if _, err := os.Stat(there[0].Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a damaged segment cannot be removed: %v", err)
	}
	must(t, os.Mkdir(filepath.Join(mine.Dir, ids.NewGUID()+Suffix), 0o700))
	if _, _, err := List(mine.Dir); err == nil {
		t.Error("a segment that cannot be read was taken for a damaged one")
	}
}

// Leave adds nothing to the segment that is being written; what comes after is
// in another, and everything is read back.
func TestLeave(t *testing.T) {
	t.Parallel()
	bothLayers(t, func(t *testing.T, cfg Config) {
		l := open(t, cfg)
		l.Leave() // nothing is there
		must(t, l.Append(ctx, []byte("one")))
		first := l.Segments()
		dek := l.current.dek
		there, err := Segments(cfg.Dir, "")
		must(t, err)
		before, err := os.ReadFile(there[0].Path)
		must(t, err)
		l.Leave()
		if !dek.Wiped() {
			t.Error("the dek is not wiped")
		}
		must(t, l.Append(ctx, []byte("two")))
		must(t, l.Close())
		after, err := os.ReadFile(there[0].Path)
		must(t, err)
		if !slices.Equal(before, after) {
			t.Error("the segment changed")
		}
		if all := l.Segments(); len(all) != 2 || all[0] != first[0] {
			t.Errorf("segments %v, then %v", first, all)
		}
		if got, _, err := recoverAll(t, cfg); err != nil || !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func TestDamaged(t *testing.T) {
	t.Parallel()
	for _, err := range []error{&CorruptError{}, ErrNotSegment, ErrNewerFormat, ErrReserved, ErrMalformed, ErrTruncated, aead.ErrAuthentication, envelope.ErrLayers} {
		if !Damaged(fmt.Errorf("read: %w", err)) {
			t.Errorf("%v is not damage", err)
		}
	}
	for _, err := range []error{nil, envelope.ErrLocked, envelope.ErrDatabaseLocked, envelope.ErrNotFound, aead.ErrWiped, context.Canceled, ErrClosed,
		os.ErrNotExist, syscall.EMFILE, fmt.Errorf("%w: %w", ErrTruncated, syscall.EIO), errors.Join(aead.ErrAuthentication, syscall.ENOSPC)} {
		if Damaged(err) {
			t.Errorf("%v is damage", err)
		}
	}
}
