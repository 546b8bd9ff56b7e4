package wal

import (
	"encoding/binary"
	"fmt"
	"os"
)

// Frame is what anybody can read of a frame without a key; nothing of it is
// authenticated.
type Frame struct {
	Number uint64 `json:"number"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"bytes"` // header and body
}

// Outline lists the frames of a segment as their lengths say, without a key.
// rest is the number of bytes at the end that do not look like a whole frame.
func Outline(path string) (s Segment, frames []Frame, rest int64, err error) {
	if s, err = ReadSegment(path); err != nil {
		return s, nil, 0, err
	}
	f, err := os.Open(path)
	if err != nil {
		return s, nil, 0, fmt.Errorf("open wal segment: %w", err)
	}
	defer f.Close()
	head := make([]byte, frameFixed)
	off := int64(s.HeaderBytes)
	frameHeader := frameFixed + int64(s.tagSize())
	for off+frameHeader <= s.Size {
		if _, err := f.ReadAt(head, off); err != nil {
			return s, frames, s.Size - off, fmt.Errorf("read wal segment %s: %w", path, err)
		}
		size := frameHeader + int64(binary.BigEndian.Uint32(head[4:]))
		if string(head[:len(marker)]) != marker || off+size > s.Size {
			break
		}
		frames = append(frames, Frame{Number: binary.BigEndian.Uint64(head[8:]), Offset: off, Size: size})
		off += size
	}
	return s, frames, s.Size - off, nil
}
