package wal

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/kustos-io/kustos/internal/envelope"
)

// Result is what a replay found.
type Result struct {
	Records int
	Frames  int
	// Ended: the segment has its end frame, nothing is missing.
	Ended bool
	// TornAt is the offset of a write that a crash cut short, which was never
	// acknowledged; -1 when there is none.
	TornAt int64
}

// sector is what disks write whole or not at all, in bytes.
const sector = 512

// Replay reads a segment and gives its records to fn in the order they were
// appended; a record is valid until fn returns. It changes nothing on disk.
//
// The log writes a frame only after the one before is durable. So a bad frame
// with an authentic frame header anywhere behind it was durable once and was
// changed since: ErrCorrupt. A bad frame with none behind is taken for the
// torn write of a crash, and replay ends there without an error, only if it
// looks like one: it is cut short by the end of the file, or a whole 512-byte
// sector of it was never written and reads as zeros, which ciphertext does not.
// Any other bad last frame is ErrCorrupt, as it may hold acknowledged records.
// What fn got before an error must be thrown away.
func Replay(ctx context.Context, path string, dek envelope.DEK, fn func(record []byte) error) (Result, error) {
	s, err := ReadSegment(path)
	if err != nil {
		return Result{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return Result{}, fmt.Errorf("open wal segment: %w", err)
	}
	defer f.Close()
	return replay(ctx, f, s, dek, fn)
}

func replay(ctx context.Context, r io.ReaderAt, s Segment, dek envelope.DEK, fn func(record []byte) error) (Result, error) {
	result := Result{TornAt: -1}
	if dek.Layered() != s.Layered() {
		return result, fmt.Errorf("replay wal segment %s: %w", s.ID, envelope.ErrLayers)
	}
	cipher, err := dek.Cipher()
	if err != nil {
		return result, fmt.Errorf("replay wal segment %s: %w", s.ID, err)
	}
	hash, err := s.authenticate(cipher)
	if err != nil {
		return result, err
	}
	fr := frames{cipher, hash}
	off := int64(s.HeaderBytes)
	for off < s.Size {
		if err := ctx.Err(); err != nil {
			return result, err
		}
		if result.Ended {
			return result, &CorruptError{s.ID, off, "bytes follow the end frame"}
		}
		head, sealed, cut, err := readFrame(r, fr, off, s.Size, uint64(result.Frames))
		if err != nil {
			return result, fmt.Errorf("read wal segment %s: %w", s.ID, err)
		}
		var body []byte
		ok := sealed != nil
		if ok {
			body, ok = fr.body(head, uint64(result.Frames), sealed)
		}
		if !ok {
			if err := torn(r, fr, s, off, cut); err != nil {
				return result, err
			}
			result.TornAt = off
			return result, nil
		}
		end, n, err := decodeBody(body, fn)
		clear(body)
		result.Records += n
		if err == errBody {
			return result, &CorruptError{s.ID, off, err.Error()}
		} else if err != nil {
			return result, err
		}
		result.Ended = end
		if !end {
			result.Frames++
		}
		off += fr.head() + int64(len(sealed))
	}
	return result, nil
}

// readFrame reads the frame with the given number at off. sealed is nil when
// there is no such frame; cut then says whether its header is authentic (or
// too little of it is there to say) and the file ends before the frame does.
func readFrame(r io.ReaderAt, fr frames, off, size int64, number uint64) (head, sealed []byte, cut bool, err error) {
	if size-off < fr.head() {
		return nil, nil, true, nil
	}
	head = make([]byte, fr.head())
	if _, err := r.ReadAt(head, off); err != nil && err != io.EOF {
		return nil, nil, false, err
	}
	got, body, ok := fr.header(head)
	if !ok || got != number {
		return nil, nil, false, nil
	}
	if size-off-fr.head() < body {
		return nil, nil, true, nil
	}
	sealed = make([]byte, body)
	if _, err := r.ReadAt(sealed, off+fr.head()); err != nil && err != io.EOF {
		return nil, nil, false, err
	}
	return head, sealed, false, nil
}

// torn returns nil when the bad frame at off is a write that a crash cut short.
func torn(r io.ReaderAt, fr frames, s Segment, off int64, cut bool) error {
	tail := make([]byte, s.Size-off)
	if _, err := r.ReadAt(tail, off); err != nil && err != io.EOF {
		return fmt.Errorf("read wal segment %s: %w", s.ID, err)
	}
	if fr.holdsHeader(tail[1:]) {
		return &CorruptError{s.ID, off, "the frame does not verify, and later frames are there"}
	}
	if cut || unwritten(tail, off) {
		return nil
	}
	return &CorruptError{s.ID, off, "the last frame does not verify, and it is not a torn write"}
}

// unwritten reports whether a sector's share of tail, which begins at off, is
// all zeros. Frames begin and end at multiples of 16, so a share is no smaller
// and is zero by chance with a probability of 2^-128.
func unwritten(tail []byte, off int64) bool {
	for len(tail) > 0 {
		n := min(sector-off%sector, int64(len(tail)))
		zero := true
		for _, b := range tail[:n] {
			if b != 0 {
				zero = false
				break
			}
		}
		if zero {
			return true
		}
		tail = tail[n:]
		off += n
	}
	return false
}
