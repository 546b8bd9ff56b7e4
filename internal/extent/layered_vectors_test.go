package extent

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

// layeredExtent is an extent in two layers, and what its makers know.
type layeredExtent struct {
	data         []byte
	head         int         // length of the header
	inner, outer cipher.AEAD // of the two layers
	hash         [sha256.Size]byte
}

const layeredTag = 2 * aead.TagSize

func newLayeredExtent(t *testing.T, key, layer aead.Key, dek envelope.DEK, id string, length int, section []byte) layeredExtent {
	t.Helper()
	h := Header{ExtentID: id, DatabaseID: "0a0b0c0d-0102-4304-8506-a70809000001", KeyVersion: 1, Length: int64(length), Section: section}
	var err error
	h.WrappedDEK, err = envelope.WrapDEKWith(key, layer, envelope.Object{DatabaseID: h.DatabaseID, Kind: envelope.Extent, ID: id}, 1, dek)
	if err != nil {
		t.Fatal(err)
	}
	e := layeredExtent{data: build(t, h, dek, vectorPayload(length), minChunk)}
	e.head = len(e.data) - length - int(chunks(int64(length), minChunk))*layeredTag
	e.hash = sha256.Sum256(e.data[:e.head])
	for i, to := range []*cipher.AEAD{&e.inner, &e.outer} {
		if *to, err = dek.Keys()[i].Cipher(); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func (e layeredExtent) chunk(i int) int { return min(e.head+i*(minChunk+layeredTag), len(e.data)) }

// innerOf takes the outer layer off a chunk, as somebody with the layer's key can.
func (e layeredExtent) innerOf(t *testing.T, i int) (sealed, aad []byte) {
	t.Helper()
	aad = chunkAAD(nil, e.hash, uint32(i), e.chunk(i+1) == len(e.data))
	sealed, err := e.outer.Open(nil, nonce(e.prefix(), uint32(i)), e.data[e.chunk(i):e.chunk(i+1)], aad)
	if err != nil {
		t.Fatal(err)
	}
	return sealed, aad
}

func (e layeredExtent) prefix() []byte { return e.data[64 : 64+prefixSize] }

// layerField is where the length of the second layer stands.
func (e layeredExtent) layerField() int {
	return e.head - layeredTag - envelope.WrappedLayerDEKSize - 2
}

// edit gives a changed copy.
func (e layeredExtent) edit(fn func(b []byte)) []byte {
	b := bytes.Clone(e.data)
	fn(b)
	return b
}

// stripped is the extent as format 1: outer layer taken off everything, the
// second layer's field emptied. It takes the layer's key and not the other.
func (e layeredExtent) stripped(t *testing.T) []byte {
	t.Helper()
	at := e.layerField()
	b := bytes.Clone(e.data[:at])
	before := fixedSize + envelope.WrappedDEKSize + 4
	section, err := e.outer.Open(nil, nonce(e.prefix(), sectionCounter), b[before:], append([]byte(sectionAAD), b[:before]...))
	if err != nil {
		t.Fatal(err)
	}
	tag, err := e.outer.Open(nil, nonce(e.prefix(), headerCounter), e.data[e.head-layeredTag:e.head], append([]byte(headerAAD), e.data[:e.head-layeredTag]...))
	if err != nil {
		t.Fatal(err)
	}
	b = append(b[:before], section...)
	binary.BigEndian.PutUint32(b[before-4:], uint32(len(section)))
	b = append(b, 0, 0)
	b = append(b, tag...)
	b[9] = singleVersion
	binary.BigEndian.PutUint32(b[12:], uint32(len(b)))
	for i := 0; e.chunk(i) < len(e.data); i++ {
		sealed, _ := e.innerOf(t, i)
		b = append(b, sealed...)
	}
	return b
}

// writeLayeredVectors makes the files of a doubly encrypted cluster; single is a
// good file of one layer.
func writeLayeredVectors(t *testing.T, key aead.Key, single []byte, save func(vector, []byte)) {
	layer, err := aead.KeyFor(aead.XChaCha20Poly1305, bytes.Repeat([]byte{0x33}, aead.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	otherLayer, err := aead.KeyFor(aead.XChaCha20Poly1305, bytes.Repeat([]byte{0x44}, aead.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	const id, otherID, length, about = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555", 2*minChunk + 500, "schema and statistics"
	dek := envelope.NewLayeredDEK()
	good := newLayeredExtent(t, key, layer, dek, id, length, []byte(about))
	other := newLayeredExtent(t, key, layer, dek, otherID, length, []byte(about)) // same DEK, which no writer does
	foreign := newLayeredExtent(t, key, otherLayer, dek, id, length, []byte(about))
	empty := newLayeredExtent(t, key, layer, dek, id, 0, nil)
	at := good.layerField()
	wrap := func(e layeredExtent) []byte { return e.data[e.layerField()+2 : e.head-layeredTag] }

	// a chunk whose outer layer is in order and whose inner one is not, and the reverse
	innerChanged := good.edit(func(b []byte) {
		sealed, aad := good.innerOf(t, 1)
		sealed[9] ^= 1
		good.outer.Seal(b[:good.chunk(1)], nonce(good.prefix(), 1), sealed, aad)
	})
	outerChanged := good.edit(func(b []byte) {
		sealed, aad := good.innerOf(t, 1)
		stranger, err := otherLayerCipher()
		if err != nil {
			t.Fatal(err)
		}
		stranger.Seal(b[:good.chunk(1)], nonce(good.prefix(), 1), sealed, aad)
	})
	headerInnerChanged := good.edit(func(b []byte) {
		from := good.head - layeredTag
		aad := append([]byte(headerAAD), b[:from]...)
		tag, err := good.outer.Open(nil, nonce(good.prefix(), headerCounter), good.data[from:good.head], aad)
		if err != nil {
			t.Fatal(err)
		}
		tag[0] ^= 1
		good.outer.Seal(b[:from], nonce(good.prefix(), headerCounter), tag, aad)
	})
	swappedWraps := slices.Concat(good.data[:72], binary.BigEndian.AppendUint16(nil, envelope.WrappedLayerDEKSize), wrap(good), good.data[fixedSize+envelope.WrappedDEKSize:at],
		binary.BigEndian.AppendUint16(nil, envelope.WrappedDEKSize), good.data[fixedSize:fixedSize+envelope.WrappedDEKSize], good.data[good.head-layeredTag:])

	for _, v := range []struct {
		vector
		data []byte
	}{
		{vector{File: "double-good-empty", Why: "read it", Layered: true}, empty.data},
		{vector{File: "double-good-section", Why: "read it and its section", Layered: true, Length: length, Section: about}, good.data},
		{vector{File: "double-in-single-cluster", Why: "two layers in a cluster that has one", Error: "layers", At: "unwrap"}, good.data},
		{vector{File: "double-single-file", Why: "one layer in a cluster that has two", Layered: true, Error: "layers", At: "unwrap"}, single},
		{vector{File: "double-stripped", Why: "made format 1 with the layer's key: the outer layer is taken off everything", Layered: true, Error: "layers", At: "unwrap"}, good.stripped(t)},
		{vector{File: "double-stripped-in-single-cluster", Why: "the same where one layer is right: the inner header tag covers the version and the second layer", Error: "authentication", At: "header"}, good.stripped(t)},
		{vector{File: "double-version-one", Why: "format 1 with a second layer", Layered: true, Error: "reserved", At: "open"}, good.edit(func(b []byte) { b[9] = 1 })},
		{vector{File: "double-no-second-layer", Why: "format 2 without a second layer", Layered: true, Error: "malformed", At: "open"}, good.edit(func(b []byte) { b[at], b[at+1] = 0, 0 })},
		{vector{File: "double-layer-length", Why: "second layer one byte longer than the header has room for", Layered: true, Error: "malformed", At: "open"}, good.edit(func(b []byte) { b[at+1]++ })},
		{vector{File: "double-flip-wrapped-layer-dek", Why: "bit flipped in the wrapped DEK of the second layer", Layered: true, Error: "authentication", At: "unwrap"}, good.edit(func(b []byte) { b[at+20] ^= 1 })},
		{vector{File: "double-flip-wrapped-dek", Why: "bit flipped in the wrapped DEK of the first layer", Layered: true, Error: "authentication", At: "unwrap"}, good.edit(func(b []byte) { b[100] ^= 1 })},
		{vector{File: "double-moved-layer-dek", Why: "second layer's DEK wrapped for another extent", Layered: true, Error: "authentication", At: "unwrap"}, good.edit(func(b []byte) { copy(b[at+2:], wrap(other)) })},
		{vector{File: "double-foreign-layer-key", Why: "second layer's DEK wrapped by the layer key of another cluster", Layered: true, Error: "authentication", At: "unwrap"}, foreign.data},
		{vector{File: "double-swapped-wraps", Why: "the two wrapped DEKs stand in each other's place", Layered: true, Error: "authentication", At: "unwrap"}, swappedWraps},
		{vector{File: "double-flip-header-tag", Why: "bit flipped in the header's tag", Layered: true, Error: "authentication", At: "header"}, good.edit(func(b []byte) { b[good.head-1] ^= 1 })},
		{vector{File: "double-header-inner-changed", Why: "the header tag's outer layer is in order, its inner one is not", Layered: true, Error: "authentication", At: "header"}, headerInnerChanged},
		{vector{File: "double-flip-section", Why: "bit flipped in the sealed section", Layered: true, Error: "authentication", At: "header"}, good.edit(func(b []byte) { b[at-5] ^= 1 })},
		{vector{File: "double-flip-chunk", Why: "bit flipped in a chunk", Layered: true, Error: "authentication", At: "chunk 1"}, good.edit(func(b []byte) { b[good.chunk(1)+9] ^= 1 })},
		{vector{File: "double-flip-inner-tag", Why: "bit flipped in the first 16 bytes of a chunk's tags", Layered: true, Error: "authentication", At: "chunk 0"}, good.edit(func(b []byte) { b[good.chunk(1)-layeredTag] ^= 1 })},
		{vector{File: "double-flip-outer-tag", Why: "bit flipped in the last 16 bytes of a chunk's tags", Layered: true, Error: "authentication", At: "chunk 0"}, good.edit(func(b []byte) { b[good.chunk(1)-1] ^= 1 })},
		{vector{File: "double-inner-changed", Why: "a chunk's outer layer is in order, its inner one is not: made with the layer's key alone", Layered: true, Error: "authentication", At: "chunk 1"}, innerChanged},
		{vector{File: "double-outer-changed", Why: "a chunk's inner layer is in order, its outer one is not: made with the customer's chain alone", Layered: true, Error: "authentication", At: "chunk 1"}, outerChanged},
		{vector{File: "double-stripped-chunk", Why: "the outer layer of one chunk is taken off", Layered: true, Error: "truncated", At: "open"}, stripChunk(t, good, nil)},
		{vector{File: "double-stripped-padded-chunk", Why: "the same, zeros in place of the outer tag", Layered: true, Error: "authentication", At: "chunk 1"}, stripChunk(t, good, make([]byte, aead.TagSize))},
		{vector{File: "double-swapped-chunks", Why: "first and second chunk changed places", Layered: true, Error: "authentication", At: "chunk 0"}, slices.Concat(good.data[:good.head], good.data[good.chunk(1):good.chunk(2)], good.data[good.head:good.chunk(1)], good.data[good.chunk(2):])},
		{vector{File: "double-replayed-chunk", Why: "last chunk of another extent under the same DEK", Layered: true, Error: "authentication", At: "chunk 2"}, slices.Concat(good.data[:good.chunk(2)], other.data[other.chunk(2):])},
		{vector{File: "double-truncated-at-chunk", Why: "last chunk missing", Layered: true, Error: "truncated", At: "open"}, good.data[:good.chunk(2)]},
		{vector{File: "double-truncated-in-header", Why: "cut inside the wrapped DEK of the second layer", Layered: true, Error: "truncated", At: "open"}, good.data[:at+20]},
	} {
		v.File += ".kxt"
		save(v.vector, v.data)
	}
}

// otherLayerCipher is an outer layer's cipher that no reader is given.
func otherLayerCipher() (cipher.AEAD, error) {
	k, err := aead.KeyFor(aead.ChaCha20Poly1305, bytes.Repeat([]byte{0x55}, aead.KeySize))
	if err != nil {
		return nil, err
	}
	return k.Cipher()
}

// stripChunk takes the outer layer off the second chunk and puts pad behind it.
func stripChunk(t *testing.T, e layeredExtent, pad []byte) []byte {
	t.Helper()
	sealed, _ := e.innerOf(t, 1)
	return slices.Concat(e.data[:e.chunk(1)], sealed, pad, e.data[e.chunk(2):])
}
