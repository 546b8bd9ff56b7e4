package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/durable"
)

// segments lists the files of a log, oldest first. A folder that is not there
// has none.
func segments(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("list audit log: %w", err)
	}
	var out []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), segmentSuffix) && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(out)
	return out, nil
}

// walk yields the frames of one segment in order. The error says at which
// offset it stopped; errTorn when the file ends inside a frame.
func walk(data []byte) iter.Seq2[frame, error] {
	return func(yield func(frame, error) bool) {
		for at := headerSize; at < len(data); {
			f, err := parseFrame(data[at:])
			if err != nil {
				yield(frame{}, fmt.Errorf("at byte %d: %w", at, err))
				return
			}
			if !yield(f, nil) {
				return
			}
			at += len(f.raw)
		}
	}
}

// repairTail finds the end of the log: it cuts what a crash left half-written
// off the newest segment, and removes that segment when nothing is left of it.
func repairTail(dir, instance string, opener Opener) (Head, error) {
	if err := durable.Sweep(dir); err != nil {
		return Head{}, fmt.Errorf("sweep audit log: %w", err)
	}
	for {
		files, err := segments(dir)
		if err != nil || len(files) == 0 {
			return Head{}, err
		}
		path := files[len(files)-1]
		end, ok, err := endOf(path, instance, opener)
		if err != nil || ok {
			return end, err
		}
		if err := errors.Join(os.Remove(path), durable.SyncDir(dir)); err != nil {
			return Head{}, fmt.Errorf("remove empty segment of the audit log: %w", err)
		}
	}
}

// endOf is the head after the last whole frame of a segment, which is cut
// there when the file ends inside another; ok is false when it holds none.
func endOf(path, instance string, opener Opener) (end Head, ok bool, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Head{}, false, fmt.Errorf("read audit log: %w", err)
	}
	header, err := parseSegmentHeader(data)
	if err != nil {
		return Head{}, false, fmt.Errorf("segment %s of the audit log: %w", path, err)
	}
	if header.instance != instance {
		return Head{}, false, fmt.Errorf("segment %s of the audit log is of instance %s, not of %s", path, header.instance, instance)
	}
	whole := headerSize
	var newest frame
	for f, err := range walk(data) {
		if errors.Is(err, errTorn) {
			break
		} else if err != nil {
			return Head{}, false, stopped(path, err)
		}
		newest = f
		whole += len(f.raw)
	}
	if whole < len(data) {
		if err := cut(path, int64(whole)); err != nil {
			return Head{}, false, err
		}
	}
	if newest.raw == nil {
		return Head{}, false, nil
	}
	events, err := newest.events(opener)
	if err != nil {
		return Head{}, false, fmt.Errorf("segment %s of the audit log: %w", path, err)
	}
	end = Head{Frames: newest.number, Link: next(newest.raw)}
	if len(events) > 0 {
		end.Events = events[len(events)-1].Sequence
	}
	return end, true, nil
}

// stopped words why a walk over a segment ended.
func stopped(path string, err error) error {
	return fmt.Errorf("segment %s of the audit log %w", path, err)
}

func cut(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("cut audit log: %w", err)
	}
	if err := errors.Join(f.Truncate(size), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("cut audit log: %w", err)
	}
	return nil
}

// Read yields the events of the log in dir, oldest first. It verifies nothing
// but each frame's own seal; use Verify for the chain. It stops at the first
// error, which it yields.
func Read(dir string, opener Opener) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		files, err := segments(dir)
		if err != nil {
			yield(Event{}, err)
			return
		}
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				yield(Event{}, fmt.Errorf("read audit log: %w", err))
				return
			}
			for f, err := range walk(data) {
				if errors.Is(err, errTorn) {
					break // being written, or left by a crash
				}
				var events []Event
				if err == nil {
					events, err = f.events(opener)
				}
				if err != nil {
					yield(Event{}, fmt.Errorf("segment %s of the audit log: %w", path, err))
					return
				}
				for _, e := range events {
					if !yield(e, nil) {
						return
					}
				}
			}
		}
	}
}

// Filter selects events; empty members select everything. Texts compare
// without case and match anywhere in the member.
type Filter struct {
	Operation, Scope, Actor string
	Result                  Result
	// Since is the smallest sequence number.
	Since uint64
}

// Match reports whether the filter selects e.
func (f Filter) Match(e Event) bool {
	has := func(s, part string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(part)) }
	actor := strings.Join([]string{e.Actor.ObjectID, e.Actor.AppID, e.Actor.Identity, e.Actor.FirstParty, e.Actor.Address}, " ")
	return e.Sequence >= f.Since && (f.Result == "" || e.Result == f.Result) && has(e.Operation, f.Operation) && has(e.Scope, f.Scope) && has(actor, f.Actor)
}

// Tail returns the newest n events that the filter selects, oldest first.
func Tail(dir string, opener Opener, filter Filter, n int) ([]Event, error) {
	var out []Event
	for e, err := range Read(dir, opener) {
		if err != nil {
			return out, err
		}
		if filter.Match(e) {
			out = append(out, e)
		}
		if len(out) >= 2*n {
			out = slices.Delete(out, 0, len(out)-n)
		}
	}
	return out[max(0, len(out)-n):], nil
}
