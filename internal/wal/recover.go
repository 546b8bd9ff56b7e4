package wal

import (
	"context"
	"fmt"

	"github.com/kustos-io/kustos/internal/envelope"
)

// Unwrapper opens the DEK of a segment; envelope.Keyring does.
type Unwrapper interface {
	UnwrapDEK(o envelope.Object, keyVersion int, wrapped envelope.WrappedDEK) (envelope.DEK, error)
}

// Recover replays the segments of one database in order and gives their
// records to fn. The caller leaves out segments whose records it already has
// elsewhere, always the oldest. Beyond what Replay checks, it is ErrCorrupt
// when a segment in the middle is missing or when one that was ended has lost
// its end. It changes nothing on disk.
func Recover(ctx context.Context, segments []Segment, keys Unwrapper, fn func(s Segment, record []byte) error) ([]Result, error) {
	results := make([]Result, 0, len(segments))
	for i, s := range segments {
		if i > 0 {
			before := segments[i-1]
			switch {
			case s.DatabaseID != before.DatabaseID:
				return results, fmt.Errorf("wal segments of two databases: %s, %s", before.ID, s.ID)
			case s.Sequence != before.Sequence+1:
				return results, &CorruptError{s.ID, -1, fmt.Sprintf("its sequence number is %d, the one before it has %d", s.Sequence, before.Sequence)}
			}
		}
		result, err := recoverOne(ctx, s, keys, fn)
		if err != nil {
			return results, err
		}
		if !result.Ended && i+1 < len(segments) && segments[i+1].Run == s.Run {
			return results, &CorruptError{s.ID, s.Size, "its end is missing, though it was ended"}
		}
		results = append(results, result)
	}
	return results, nil
}

// Runs divides segments, in the order of their numbers, where all numbers between two
// are ones that may be missing. Each run is for Recover.
func Runs(segments []Segment, missing func(number uint64) bool) (out [][]Segment) {
	for i, s := range segments {
		if i == 0 || allBetween(segments[i-1].Sequence, s.Sequence, missing) {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], s)
	}
	return out
}

// allBetween reports whether there are numbers between two, all of which may be missing.
func allBetween(before, next uint64, missing func(number uint64) bool) bool {
	for n := before + 1; n < next; n++ {
		if !missing(n) {
			return false
		}
	}
	return next > before+1
}

func recoverOne(ctx context.Context, s Segment, keys Unwrapper, fn func(s Segment, record []byte) error) (Result, error) {
	dek, err := keys.UnwrapDEK(s.Object(), s.KeyVersion, s.WrappedDEK)
	if err != nil {
		return Result{}, fmt.Errorf("wal segment %s: %w", s.ID, err)
	}
	defer dek.Wipe()
	return Replay(ctx, s.Path, dek, func(record []byte) error { return fn(s, record) })
}
