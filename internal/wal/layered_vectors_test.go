package wal

import (
	"bytes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/envelope"
)

// layeredVectors are the files of a doubly encrypted cluster; single is a good
// file of one layer.
func layeredVectors(t *testing.T, key aead.Key, single []byte) []vectorFile {
	layer, err := aead.KeyFor(aead.XChaCha20Poly1305, bytes.Repeat([]byte{0x33}, aead.KeySize))
	must(t, err)
	otherLayer, err := aead.KeyFor(aead.XChaCha20Poly1305, bytes.Repeat([]byte{0x44}, aead.KeySize))
	must(t, err)
	dek := envelope.NewLayeredDEK()
	segment := func(id string, layer aead.Key) [][]byte {
		s := Segment{ID: id, DatabaseID: "0a0b0c0d-0102-4304-8506-a70809000001", Sequence: 7, KeyVersion: 1, Run: "22222222-2222-4333-8444-555555555555"}
		return sealSegment(t, s, key, layer, dek, 3, true)
	}
	const id = "11111111-2222-4333-8444-555555555555"
	p, q, foreign := segment(id, layer), segment("99999999-2222-4333-8444-555555555555", layer), segment(id, otherLayer) // same DEK, which no writer does
	inner, err := dek.Keys()[0].Cipher()
	must(t, err)
	outer, err := dek.Keys()[1].Cipher()
	must(t, err)
	stranger, err := envelope.NewLayeredDEK().Keys()[1].Cipher()
	must(t, err)

	cat := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	good, open3 := cat(p...), cat(p[:4]...)
	at := func(i int) int64 { return int64(len(cat(p[:i]...))) } // offset of part i: 1 is the first frame
	edit := func(off int64, to func(byte) byte) []byte {
		b := bytes.Clone(good)
		b[off] = to(b[off])
		return b
	}
	flip := func(b byte) byte { return b ^ 1 }
	to := func(v byte) func(byte) byte { return func(byte) byte { return v } }
	wrapAt := int64(fixedSize + envelope.WrappedDEKSize)
	wrapEnd := wrapAt + envelope.WrappedLayerDEKSize
	sealed := layeredFrame{inner, outer, frames{aead.Layered(inner, outer), sha256.Sum256(p[0])}}
	// frame 1 with one layer of its body made anew
	with := func(change func(layeredFrame, []byte) []byte) []byte {
		return cat(p[0], p[1], change(sealed, p[2]), p[3], p[4])
	}
	swapped := bytes.Clone(good)
	binary.BigEndian.PutUint16(swapped[76:], envelope.WrappedDEKSize)
	binary.BigEndian.PutUint16(swapped[78:], envelope.WrappedLayerDEKSize)
	copy(swapped[fixedSize:], good[wrapAt:wrapEnd])
	copy(swapped[fixedSize+envelope.WrappedLayerDEKSize:], good[fixedSize:wrapAt])

	out := []vectorFile{
		{vector{File: "double-good-ended", Why: "three frames and the end", Records: 6, Ended: true, TornAt: -1}, good},
		{vector{File: "double-good-open", Why: "no end frame: the newest segment after a crash", Records: 6, TornAt: -1}, open3},
		{vector{File: "double-torn-in-frame-header", Why: "cut inside a frame's header, where format 1 would have it whole", Records: 4, TornAt: at(3)}, open3[:at(3)+40]},
		{vector{File: "double-torn-in-frame-body", Why: "cut inside a frame's body", Records: 4, TornAt: at(3)}, open3[:at(3)+200]},
		{vector{File: "double-torn-unwritten-sector", Why: "the last frame has its size but a sector of it reads as zeros", Records: 4, TornAt: at(3)}, zero(open3, (at(3)+sector)/sector*sector, sector)},
		{vector{File: "double-single-file", Why: "one layer in a cluster that has two", Error: "layers"}, single},
		{vector{File: "double-stripped", Why: "made format 1 with the layer's key: the outer layer is taken off everything", Error: "layers"}, stripSegment(t, p, sealed)},
		{vector{File: "double-version-one", Why: "format 1 with a second layer", Error: "reserved"}, edit(9, to(1))},
		{vector{File: "double-no-second-layer", Why: "format 2 without a second layer", Error: "malformed"}, edit(77, to(0))},
		{vector{File: "double-layer-length", Why: "second layer longer than the header has room for", Error: "malformed"}, edit(77, func(b byte) byte { return b + 16 })},
		{vector{File: "double-flip-wrapped-dek", Why: "bit flipped in the wrapped DEK of the first layer", Error: "authentication"}, edit(100, flip)},
		{vector{File: "double-flip-wrapped-layer-dek", Why: "bit flipped in the wrapped DEK of the second layer", Error: "authentication"}, edit(wrapAt+20, flip)},
		{vector{File: "double-moved-layer-dek", Why: "second layer's DEK wrapped for another segment", Error: "authentication"}, cat(good[:wrapAt], q[0][wrapAt:wrapEnd], good[wrapEnd:])},
		{vector{File: "double-foreign-layer-key", Why: "second layer's DEK wrapped by the layer key of another cluster", Error: "authentication"}, cat(foreign...)},
		{vector{File: "double-swapped-wraps", Why: "the two wrapped DEKs stand in each other's place", Error: "authentication"}, swapped},
		{vector{File: "double-flip-header-tag", Why: "bit flipped in the header's tag", Error: "authentication"}, edit(at(1)-1, flip)},
		{vector{File: "double-flip-frame-header-tag", Why: "bit flipped in the outer half of a frame header's tag", Error: "corrupt", At: at(2), Records: 2}, edit(at(2)+frameFixed+aead.TagSize, flip)},
		{vector{File: "double-flip-frame-body", Why: "bit flipped in a frame's body", Error: "corrupt", At: at(2), Records: 2}, edit(at(2)+100, flip)},
		{vector{File: "double-inner-changed", Why: "a body's outer layer is in order, its inner one is not: made with the layer's key alone", Error: "corrupt", At: at(2), Records: 2}, with(func(f layeredFrame, frame []byte) []byte {
			return f.reseal(t, frame, outer, func(b []byte) { b[9] ^= 1 })
		})},
		{vector{File: "double-outer-changed", Why: "a body's inner layer is in order, its outer one is not: made with the customer's chain alone", Error: "corrupt", At: at(2), Records: 2}, with(func(f layeredFrame, frame []byte) []byte {
			return f.reseal(t, frame, stranger, func([]byte) {})
		})},
		{vector{File: "double-stripped-frame", Why: "the outer layer of one frame is taken off", Error: "corrupt", At: at(2), Records: 2}, with(func(f layeredFrame, frame []byte) []byte {
			return f.strip(t, frame)
		})},
		{vector{File: "double-swapped-frames", Why: "second and third frame changed places", Error: "corrupt", At: at(2), Records: 2}, cat(p[0], p[1], p[3], p[2], p[4])},
		{vector{File: "double-replayed-frame", Why: "second frame of another segment under the same DEK", Error: "corrupt", At: at(2), Records: 2}, cat(p[0], p[1], q[2], p[3], p[4])},
		{vector{File: "double-truncated-in-header", Why: "cut inside the wrapped DEK of the second layer", Error: "truncated"}, good[:wrapAt+20]},
	}
	for i := range out {
		out[i].Layered = true
	}
	return append(out,
		vectorFile{vector{File: "double-in-single-cluster", Why: "two layers in a cluster that has one", Error: "layers"}, good},
		vectorFile{vector{File: "double-stripped-in-single-cluster", Why: "made format 1 with the layer's key, where one layer is right: the inner header tag covers the version and the second layer", Error: "authentication"}, stripSegment(t, p, sealed)},
	)
}

// layeredFrame takes the layers of a frame apart.
type layeredFrame struct {
	inner, outer cipher.AEAD
	frames
}

// open takes the outer layer off a frame's header tag and body.
func (f layeredFrame) open(t *testing.T, frame []byte) (number uint64, tag, body []byte) {
	t.Helper()
	number = binary.BigEndian.Uint64(frame[8:])
	head := int(f.head())
	tag, err := f.outer.Open(nil, nonce(frameHeaderDomain, number), frame[frameFixed:head], f.aad(frameHeaderAAD, frame))
	must(t, err)
	body, err = f.outer.Open(nil, nonce(frameBodyDomain, number), frame[head:], f.aad(frameBodyAAD, frame))
	must(t, err)
	return number, tag, body
}

// reseal changes what the outer layer of a body holds and seals it by another.
func (f layeredFrame) reseal(t *testing.T, frame []byte, outer cipher.AEAD, change func([]byte)) []byte {
	t.Helper()
	number, _, body := f.open(t, frame)
	change(body)
	return outer.Seal(bytes.Clone(frame[:f.head()]), nonce(frameBodyDomain, number), body, f.aad(frameBodyAAD, frame))
}

// strip leaves the inner layer of a frame, its length as it was.
func (f layeredFrame) strip(t *testing.T, frame []byte) []byte {
	t.Helper()
	_, tag, body := f.open(t, frame)
	return slices.Concat(frame[:frameFixed], tag, body)
}

// stripSegment is a segment as format 1: the outer layer taken off everything,
// the second layer's field emptied. It takes the layer's key and not the other.
func stripSegment(t *testing.T, parts [][]byte, f layeredFrame) []byte {
	t.Helper()
	head := parts[0]
	body := len(head) - 2*aead.TagSize
	tag, err := f.outer.Open(nil, nonce(headerDomain, 0), head[body:], append([]byte(headerAAD), head[:body]...))
	must(t, err)
	out := bytes.Clone(head[:padded(fixedSize+envelope.WrappedDEKSize)])
	clear(out[fixedSize+envelope.WrappedDEKSize:])
	out[9] = singleVersion
	binary.BigEndian.PutUint16(out[76:], 0)
	out = append(out, tag...)
	binary.BigEndian.PutUint32(out[12:], uint32(len(out)))
	for _, frame := range parts[1:] {
		stripped := f.strip(t, frame)
		binary.BigEndian.PutUint32(stripped[4:], uint32(len(frame)-int(f.head())-aead.TagSize))
		out = append(out, stripped...)
	}
	return out
}
