package extent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"testing/cryptotest"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/envelope"
)

var update = flag.Bool("update", false, "rewrite the vectors")

const vectorDir = "testdata/vectors"

// vectorSet is vectors.json: the keys and what must come of each file. A
// reader unwraps the DEK with the key of the version the header names.
type vectorSet struct {
	Comment      string            `json:"comment"`
	DatabaseKeys map[string]string `json:"databaseKeys"` // version → key, hex
	LayerKey     string            `json:"layerKey"`     // of the doubly encrypted cluster, hex
	Vectors      []vector          `json:"vectors"`
}

type vector struct {
	File string `json:"file"`
	Why  string `json:"why"`
	// Error is "" for a good file, else one of: notExtent, newerFormat,
	// reserved, malformed, truncated, authentication, noKey, layers.
	Error string `json:"error"`
	// Layered: it is read as a file of the doubly encrypted cluster.
	Layered bool `json:"layered,omitempty"`
	// At is where the error must be found: open, unwrap, header, section, chunk 0 …
	At      string `json:"at,omitempty"`
	Length  int64  `json:"length"`
	SHA256  string `json:"sha256,omitempty"` // of the payload
	Section string `json:"section,omitempty"`
}

var vectorErrors = map[string]error{
	"notExtent": ErrNotExtent, "newerFormat": ErrNewerFormat, "reserved": ErrReserved, "malformed": ErrMalformed,
	"truncated": ErrTruncated, "authentication": aead.ErrAuthentication, "noKey": envelope.ErrNotFound, "layers": envelope.ErrLayers,
}

func vectorKey(fill byte) aead.Key {
	k, err := aead.KeyFrom(bytes.Repeat([]byte{fill}, aead.KeySize))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return k
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	data, err := os.ReadFile(filepath.Join(vectorDir, "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var set vectorSet
	if err := json.Unmarshal(data, &set); err != nil {
		t.Fatal(err)
	}
	keys := map[int]aead.Key{}
	for version, text := range set.DatabaseKeys {
		raw, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		key, err := aead.KeyFrom(raw)
		if err != nil {
			t.Fatal(err)
		}
		keys[int(version[0]-'0')] = key
	}
	raw, err := hex.DecodeString(set.LayerKey)
	if err != nil {
		t.Fatal(err)
	}
	layer, err := aead.KeyFor(aead.XChaCha20Poly1305, raw)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{"vectors.json": true}
	for _, v := range set.Vectors {
		listed[v.File] = true
		t.Run(v.File, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(vectorDir, v.File))
			if err != nil {
				t.Fatal(err)
			}
			at, err := runVector(data, keys, layer, v)
			if v.Error == "" {
				if err != nil {
					t.Errorf("%s: %v", at, err)
				}
				return
			}
			want, ok := vectorErrors[v.Error]
			if !ok || !errors.Is(err, want) || at != v.At {
				t.Errorf("%s: %v; want %s at %s", at, err, v.Error, v.At)
			}
		})
	}
	files, err := os.ReadDir(vectorDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !listed[f.Name()] {
			t.Errorf("%s is not listed in vectors.json", f.Name())
		}
	}
}

// runVector reads one file to the end and says where the first error was.
func runVector(data []byte, keys map[int]aead.Key, layer aead.Key, v vector) (at string, err error) {
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return "open", err
	}
	i := f.Info()
	key, ok := keys[i.KeyVersion]
	if !ok {
		return "unwrap", envelope.ErrNotFound
	}
	if !v.Layered {
		layer = aead.Key{}
	}
	dek, err := envelope.UnwrapDEKWith(key, layer, i.Object(), i.KeyVersion, i.WrappedDEK)
	if err != nil {
		return "unwrap", err
	}
	r, err := f.Reader(dek)
	if err != nil {
		return "header", err
	}
	section, err := r.Section()
	if err != nil {
		return "section", err
	}
	var payload bytes.Buffer
	if err := r.CopyTo(context.Background(), &payload); err != nil {
		return "chunk " + string(rune('0'+payload.Len()/i.ChunkSize)), err
	}
	sum := sha256.Sum256(payload.Bytes())
	if int64(payload.Len()) != v.Length || hex.EncodeToString(sum[:]) != v.SHA256 || string(section) != v.Section {
		return "payload", errors.New("payload or section differs")
	}
	return "", nil
}

// writeVectors makes every file anew; with the fixed random source the bytes
// are the same each time.
func writeVectors(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	keys := map[string]aead.Key{"1": vectorKey(0x11), "2": vectorKey(0x22)}
	set := vectorSet{
		Comment:      "Extents of format 1 and, of the doubly encrypted cluster, of format 2, with chunks of 4 KiB. A reader must give the payload or exactly this error; docs/format.md says why.",
		DatabaseKeys: map[string]string{},
		LayerKey:     hex.EncodeToString(bytes.Repeat([]byte{0x33}, aead.KeySize)),
	}
	for version, k := range keys {
		if err := k.Reveal(func(b []byte) error { set.DatabaseKeys[version] = hex.EncodeToString(b); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(vectorDir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(vectorDir, 0o755); err != nil {
		t.Fatal(err)
	}
	dek := envelope.NewDEK()
	make1 := func(id string, length int, section []byte) []byte {
		h := testHeader(length)
		h.ExtentID, h.DatabaseID, h.KeyVersion, h.Section = id, "0a0b0c0d-0102-4304-8506-a70809000001", 1, section
		var err error
		h.WrappedDEK, err = envelope.WrapDEKWith(keys["1"], aead.Key{}, envelope.Object{DatabaseID: h.DatabaseID, Kind: envelope.Extent, ID: id}, 1, dek)
		if err != nil {
			t.Fatal(err)
		}
		return build(t, h, dek, vectorPayload(length), minChunk)
	}
	save := func(v vector, data []byte) {
		if v.Error == "" {
			sum := sha256.Sum256(vectorPayload(int(v.Length)))
			v.SHA256 = hex.EncodeToString(sum[:])
		}
		set.Vectors = append(set.Vectors, v)
		if err := os.WriteFile(filepath.Join(vectorDir, v.File), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const id, otherID = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"
	const length = 2*minChunk + 500
	for _, n := range []int{0, 1, minChunk, minChunk + 1, length} {
		name := map[int]string{0: "good-empty", 1: "good-one-byte", minChunk: "good-one-chunk", minChunk + 1: "good-one-chunk-and-a-byte", length: "good-three-chunks"}[n]
		save(vector{File: name + ".kxt", Why: "read it", Length: int64(n)}, make1(id, n, nil))
	}
	good := make1(id, length, []byte("schema and statistics"))
	save(vector{File: "good-section.kxt", Why: "read it and its section", Length: length, Section: "schema and statistics"}, good)
	empty := make1(id, 0, nil)
	other := make1(otherID, length, []byte("schema and statistics")) // same DEK, which no writer does

	head := len(good) - length - 3*aead.TagSize
	chunk := func(n int) int { return head + n*(minChunk+aead.TagSize) }
	edit := func(data []byte, fn func([]byte) []byte) []byte { return fn(bytes.Clone(data)) }
	flip := func(at int) func([]byte) []byte { return func(b []byte) []byte { b[at] ^= 1; return b } }
	// grow declares another payload length and gives the file that size
	grow := func(n uint64) func([]byte) []byte {
		return func(b []byte) []byte {
			binary.BigEndian.PutUint64(b[56:], n)
			size := head + int(n) + int(chunks(int64(n), minChunk))*aead.TagSize
			return append(b, make([]byte, max(0, size-len(b)))...)[:size]
		}
	}
	for _, bad := range []struct {
		name, why, err, at string
		data               []byte
	}{
		{"flip-magic", "bit flipped in the magic", "notExtent", "open", edit(good, flip(0))},
		{"newer-version", "format 3", "newerFormat", "open", edit(good, func(b []byte) []byte { b[9] = 3; return b })},
		{"version-zero", "format 0", "malformed", "open", edit(good, func(b []byte) []byte { b[9] = 0; return b })},
		{"reserved-flags", "a flag is set", "reserved", "open", edit(good, flip(11))},
		{"reserved-second-layer", "the second layer is not empty in format 1", "reserved", "open", edit(good, flip(head-aead.TagSize-1))},
		{"header-length", "header length one too small", "malformed", "open", edit(good, func(b []byte) []byte { b[15]--; return b })},
		{"chunk-size", "chunk size no power of two", "malformed", "open", edit(good, flip(55))},
		{"flip-extent-id", "bit flipped in the extent id", "authentication", "unwrap", edit(good, flip(20))},
		{"flip-database-id", "bit flipped in the database id", "authentication", "unwrap", edit(good, flip(40))},
		{"wrong-key-version", "names version 2 of the database key, wrapped with 1", "authentication", "unwrap", edit(good, func(b []byte) []byte { b[51] = 2; return b })},
		{"unknown-key-version", "names a version of the database key that does not exist", "noKey", "unwrap", edit(good, func(b []byte) []byte { b[51] = 9; return b })},
		{"flip-wrapped-dek", "bit flipped in the wrapped DEK", "authentication", "unwrap", edit(good, flip(100))},
		{"flip-nonce-prefix", "bit flipped in the nonce prefix", "authentication", "header", edit(good, flip(64))},
		{"flip-header-tag", "bit flipped in the header's tag", "authentication", "header", edit(good, flip(head-1))},
		{"flip-header-tag-empty", "bit flipped in the tag of an extent without payload", "authentication", "header", edit(empty, flip(len(empty)-1))},
		{"flip-section", "bit flipped in the sealed section", "authentication", "header", edit(good, flip(head-2*aead.TagSize-10))},
		{"longer-length", "payload length and file made longer", "authentication", "header", edit(good, grow(length+100))},
		{"shorter-length", "payload length and file cut to two whole chunks", "authentication", "header", edit(good, grow(2*minChunk))},
		{"flip-chunk", "bit flipped in a chunk", "authentication", "chunk 1", edit(good, flip(chunk(1)+9))},
		{"flip-tag", "bit flipped in a chunk's tag", "authentication", "chunk 0", edit(good, flip(chunk(1)-1))},
		{"flip-last-tag", "bit flipped in the last tag", "authentication", "chunk 2", edit(good, flip(len(good)-1))},
		{"swapped-chunks", "first and second chunk changed places", "authentication", "chunk 0", edit(good, func(b []byte) []byte {
			copy(b[chunk(0):], good[chunk(1):chunk(2)])
			copy(b[chunk(1):], good[chunk(0):chunk(1)])
			return b
		})},
		{"repeated-chunk", "first chunk again in place of the second", "authentication", "chunk 1", edit(good, func(b []byte) []byte { copy(b[chunk(1):], good[chunk(0):chunk(1)]); return b })},
		{"truncated-at-chunk", "last chunk missing", "truncated", "open", good[:chunk(2)]},
		{"truncated-in-chunk", "cut inside a chunk", "truncated", "open", good[:chunk(1)+100]},
		{"truncated-in-header", "cut inside the header", "truncated", "open", good[:80]},
		{"truncated-in-magic", "cut inside the magic", "notExtent", "open", good[:5]},
		{"empty-file", "no bytes at all", "notExtent", "open", nil},
		{"appended", "a byte added at the end", "truncated", "open", append(bytes.Clone(good), 0)},
		{"last-flag-missing", "a middle chunk sealed anew stands last: same key, nonce and index, no last flag", "authentication", "chunk 2", lastFlag(t, good, dek, head, 2, false)},
		{"last-flag-early", "the first chunk carries the last flag", "authentication", "chunk 0", lastFlag(t, good, dek, head, 0, true)},
		{"replayed-chunk", "last chunk of another extent under the same DEK", "authentication", "chunk 2", edit(good, func(b []byte) []byte { copy(b[chunk(2):], other[chunk(2):]); return b })},
		{"replayed-header", "header of another extent under the same DEK", "authentication", "chunk 0", edit(good, func(b []byte) []byte { copy(b, other[:head]); return b })},
	} {
		save(vector{File: bad.name + ".kxt", Why: bad.why, Error: bad.err, At: bad.at}, bad.data)
	}
	writeLayeredVectors(t, keys["1"], good, save)
	data, err := json.MarshalIndent(set, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(vectorDir, "vectors.json"), append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// vectorPayload is length bytes: 0, 1, 2 … 250, 0, 1 …
func vectorPayload(length int) []byte {
	b := make([]byte, length)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

// lastFlag seals one chunk of a three-chunk extent again with another flag.
func lastFlag(t *testing.T, data []byte, dek envelope.DEK, head, index int, last bool) []byte {
	t.Helper()
	gcm, err := dek.Cipher()
	if err != nil {
		t.Fatal(err)
	}
	out := bytes.Clone(data)
	from := head + index*(minChunk+aead.TagSize)
	to := min(from+minChunk+aead.TagSize, len(data))
	n := nonce(data[64:64+prefixSize], uint32(index))
	hash := sha256.Sum256(data[:head])
	plain, err := gcm.Open(nil, n, data[from:to], chunkAAD(nil, hash, uint32(index), !last))
	if err != nil {
		t.Fatal(err)
	}
	copy(out[from:to], gcm.Seal(nil, n, plain, chunkAAD(nil, hash, uint32(index), last)))
	return out
}
