package wal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/cryptotest"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/envelope"
)

var update = flag.Bool("update", false, "rewrite the vectors")

const vectorDir = "testdata/vectors"

// vectorSet is vectors.json. A reader unwraps the DEK with the key of the
// version the header names and replays the file.
type vectorSet struct {
	Comment      string            `json:"comment"`
	DatabaseKeys map[string]string `json:"databaseKeys"` // version → key, hex
	LayerKey     string            `json:"layerKey"`     // of the doubly encrypted cluster, hex
	Vectors      []vector          `json:"vectors"`
}

type vector struct {
	File string `json:"file"`
	Why  string `json:"why"`
	// Error is "" when the replay ends well, else one of: notSegment,
	// newerFormat, reserved, malformed, truncated, authentication, noKey, layers, corrupt.
	Error string `json:"error"`
	// Layered: it is read as a file of the doubly encrypted cluster.
	Layered bool `json:"layered,omitempty"`
	// At is the offset of a corrupt frame.
	At int64 `json:"at,omitempty"`
	// Records were read before the end or the error: record i is "record i "
	// 60 times over.
	Records int  `json:"records"`
	Ended   bool `json:"ended,omitempty"`
	// TornAt is the offset of a torn write, -1 when there is none.
	TornAt int64 `json:"tornAt"`
}

var vectorErrors = map[string]error{
	"notSegment": ErrNotSegment, "newerFormat": ErrNewerFormat, "reserved": ErrReserved, "malformed": ErrMalformed,
	"truncated": ErrTruncated, "authentication": aead.ErrAuthentication, "noKey": envelope.ErrNotFound, "corrupt": ErrCorrupt, "layers": envelope.ErrLayers,
}

func vectorRecord(i int) string {
	return string(bytes.Repeat(fmt.Appendf(nil, "record %d ", i), 60))
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	data, err := os.ReadFile(filepath.Join(vectorDir, "vectors.json"))
	must(t, err)
	var set vectorSet
	must(t, json.Unmarshal(data, &set))
	keys := map[int]aead.Key{}
	for version, text := range set.DatabaseKeys {
		raw, err := hex.DecodeString(text)
		must(t, err)
		keys[int(version[0]-'0')], err = aead.KeyFrom(raw)
		must(t, err)
	}
	raw, err := hex.DecodeString(set.LayerKey)
	must(t, err)
	layer, err := aead.KeyFor(aead.XChaCha20Poly1305, raw)
	must(t, err)
	listed := map[string]bool{"vectors.json": true}
	for _, v := range set.Vectors {
		listed[v.File] = true
		t.Run(v.File, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(vectorDir, v.File))
			must(t, err)
			records, result, err := runVector(data, keys, layer, v)
			for i, r := range records {
				if r != vectorRecord(i) {
					t.Errorf("record %d is another", i)
				}
			}
			var c *CorruptError
			if errors.As(err, &c) && c.Offset != v.At {
				t.Errorf("corrupt at %d, want %d", c.Offset, v.At)
			}
			switch {
			case len(records) != v.Records:
				t.Errorf("%d records, want %d (%v)", len(records), v.Records, err)
			case v.Error == "" && (err != nil || result.Ended != v.Ended || result.TornAt != v.TornAt):
				t.Errorf("%+v, %v", result, err)
			case v.Error != "" && (vectorErrors[v.Error] == nil || !errors.Is(err, vectorErrors[v.Error])):
				t.Errorf("got %v, want %s", err, v.Error)
			}
		})
	}
	files, err := os.ReadDir(vectorDir)
	must(t, err)
	for _, f := range files {
		if !listed[f.Name()] {
			t.Errorf("%s is not listed in vectors.json", f.Name())
		}
	}
}

func runVector(data []byte, keys map[int]aead.Key, layer aead.Key, v vector) (records []string, result Result, err error) {
	r := bytes.NewReader(data)
	s, err := parseSegment(r, int64(len(data)))
	if err != nil {
		return nil, result, err
	}
	key, ok := keys[s.KeyVersion]
	if !ok {
		return nil, result, envelope.ErrNotFound
	}
	if !v.Layered {
		layer = aead.Key{}
	}
	dek, err := envelope.UnwrapDEKWith(key, layer, s.Object(), s.KeyVersion, s.WrappedDEK)
	if err != nil {
		return nil, result, err
	}
	result, err = replay(ctx, r, s, dek, func(b []byte) error { records = append(records, string(b)); return nil })
	return records, result, err
}

// vectorSegment is a segment in memory: header and frames of two records each.
func vectorSegment(t *testing.T, key aead.Key, id string, frameCount int, end bool) (parts [][]byte) {
	t.Helper()
	s := Segment{ID: id, DatabaseID: "0a0b0c0d-0102-4304-8506-a70809000001", KeyVersion: 1, Sequence: 7, Run: "22222222-2222-4333-8444-555555555555"}
	return sealSegment(t, s, key, aead.Key{}, envelope.NewDEK(), frameCount, end)
}

// sealSegment is the segment of a header, in the layers of the DEK.
func sealSegment(t *testing.T, s Segment, key, layer aead.Key, dek envelope.DEK, frameCount int, end bool) (parts [][]byte) {
	t.Helper()
	var err error
	s.WrappedDEK, err = envelope.WrapDEKWith(key, layer, s.Object(), 1, dek)
	must(t, err)
	head, err := s.encode(dek)
	must(t, err)
	gcm, err := dek.Cipher()
	must(t, err)
	s.raw = head
	hash, err := s.authenticate(gcm)
	must(t, err)
	fr := frames{gcm, hash}
	parts = append(parts, head)
	for i := range frameCount {
		body := encodeBody(kindRecords, [][]byte{[]byte(vectorRecord(2 * i)), []byte(vectorRecord(2*i + 1))})
		parts = append(parts, fr.seal(uint64(i), body))
	}
	if end {
		parts = append(parts, fr.seal(uint64(frameCount), encodeBody(kindEnd, nil)))
	}
	return parts
}

// vectorFile is a vector and its bytes.
type vectorFile struct {
	vector
	data []byte
}

// writeVectors makes every file anew; with the fixed random source the bytes
// are the same each time.
func writeVectors(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 2)
	set := vectorSet{
		Comment:      "WAL segments of format 1 and, of the doubly encrypted cluster, of format 2. A reader must give the records and the end, or exactly this error; docs/format.md says why.",
		DatabaseKeys: map[string]string{"1": hex.EncodeToString(bytes.Repeat([]byte{0x11}, 32)), "2": hex.EncodeToString(bytes.Repeat([]byte{0x22}, 32))},
		LayerKey:     hex.EncodeToString(bytes.Repeat([]byte{0x33}, 32)),
	}
	key, err := aead.KeyFrom(bytes.Repeat([]byte{0x11}, 32))
	must(t, err)
	must(t, os.RemoveAll(vectorDir))
	must(t, os.MkdirAll(vectorDir, 0o755))

	p := vectorSegment(t, key, "11111111-2222-4333-8444-555555555555", 3, true)
	q := vectorSegment(t, key, "99999999-2222-4333-8444-555555555555", 3, true)
	cat := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	good := cat(p...)
	at := func(i int) int64 { return int64(len(cat(p[:i]...))) } // offset of part i: 1 is the first frame
	edit := func(off int64, to func(byte) byte) []byte {
		b := bytes.Clone(good)
		b[off] = to(b[off])
		return b
	}
	flip := func(b byte) byte { return b ^ 1 }
	set1 := func(v byte) func(byte) byte { return func(byte) byte { return v } }
	open3 := cat(p[:4]...) // no end frame
	flipLast := bytes.Clone(open3)
	flipLast[len(flipLast)-1] ^= 1

	for _, v := range append([]vectorFile{
		{vector{File: "good-ended", Why: "three frames and the end", Records: 6, Ended: true, TornAt: -1}, good},
		{vector{File: "good-open", Why: "no end frame: the newest segment after a crash", Records: 6, TornAt: -1}, open3},
		{vector{File: "good-no-frames", Why: "a header alone", TornAt: -1}, p[0]},
		{vector{File: "torn-in-frame-header", Why: "cut inside a frame's header", Records: 4, TornAt: at(3)}, open3[:at(3)+20]},
		{vector{File: "torn-in-frame-body", Why: "cut inside a frame's body", Records: 4, TornAt: at(3)}, open3[:at(3)+200]},
		{vector{File: "torn-first-frame", Why: "cut inside the first frame", TornAt: at(1)}, open3[:at(1)+100]},
		{vector{File: "torn-unwritten-sector", Why: "the last frame has its size but a sector of it reads as zeros", Records: 4, TornAt: at(3)}, zero(open3, (at(3)+sector)/sector*sector, sector)},
		{vector{File: "torn-unwritten-frame", Why: "the last frame reads as zeros", Records: 4, TornAt: at(3)}, zero(open3, at(3), int64(len(p[3])))},
		{vector{File: "flip-magic", Why: "bit flipped in the magic", Error: "notSegment"}, edit(0, flip)},
		{vector{File: "newer-version", Why: "format 3", Error: "newerFormat"}, edit(9, set1(3))},
		{vector{File: "version-zero", Why: "format 0", Error: "malformed"}, edit(9, set1(0))},
		{vector{File: "reserved-flags", Why: "a flag is set", Error: "reserved"}, edit(11, flip)},
		{vector{File: "reserved-second-layer", Why: "the second layer is not empty in format 1", Error: "reserved"}, edit(77, flip)},
		{vector{File: "header-length", Why: "header length 16 too large", Error: "malformed"}, edit(15, func(b byte) byte { return b + 16 })},
		{vector{File: "truncated-in-header", Why: "cut inside the header", Error: "truncated"}, good[:100]},
		{vector{File: "empty-file", Why: "no bytes at all", Error: "notSegment"}, nil},
		{vector{File: "flip-segment-id", Why: "bit flipped in the segment id", Error: "authentication"}, edit(20, flip)},
		{vector{File: "flip-sequence", Why: "bit flipped in the sequence number", Error: "authentication"}, edit(59, flip)},
		{vector{File: "wrong-key-version", Why: "names version 2 of the database key, wrapped with 1", Error: "authentication"}, edit(51, set1(2))},
		{vector{File: "unknown-key-version", Why: "names a version of the database key that does not exist", Error: "noKey"}, edit(51, set1(9))},
		{vector{File: "flip-header-tag", Why: "bit flipped in the header's tag", Error: "authentication"}, edit(at(1)-1, flip)},
		{vector{File: "flip-frame-length", Why: "bit flipped in a frame's length", Error: "corrupt", At: at(2), Records: 2}, edit(at(2)+6, flip)},
		{vector{File: "flip-frame-number", Why: "bit flipped in a frame's number", Error: "corrupt", At: at(2), Records: 2}, edit(at(2)+15, flip)},
		{vector{File: "flip-frame-body", Why: "bit flipped in a frame's body", Error: "corrupt", At: at(2), Records: 2}, edit(at(2)+100, flip)},
		{vector{File: "flip-frame-tag", Why: "bit flipped in a frame's tag", Error: "corrupt", At: at(1)}, edit(at(2)-1, flip)},
		{vector{File: "flip-last-frame", Why: "bit flipped in the last frame of an open segment: whole, so no torn write", Error: "corrupt", At: at(3), Records: 4}, flipLast},
		{vector{File: "flip-end", Why: "bit flipped in the end frame", Error: "corrupt", At: at(4), Records: 6}, edit(int64(len(good))-1, flip)},
		{vector{File: "zeros-in-between", Why: "a sector of a frame in the middle reads as zeros", Error: "corrupt", At: at(2), Records: 2}, zero(good, (at(2)+sector)/sector*sector, sector)},
		{vector{File: "swapped-frames", Why: "second and third frame changed places", Error: "corrupt", At: at(2), Records: 2}, cat(p[0], p[1], p[3], p[2], p[4])},
		{vector{File: "missing-frame", Why: "second frame taken out", Error: "corrupt", At: at(2), Records: 2}, cat(p[0], p[1], p[3], p[4])},
		{vector{File: "repeated-frame", Why: "first frame again at the end", Error: "corrupt", At: at(2), Records: 2}, cat(p[0], p[1], p[1])},
		{vector{File: "replayed-frame", Why: "second frame of another segment", Error: "corrupt", At: at(2), Records: 2}, cat(p[0], p[1], q[2], p[3], p[4])},
		{vector{File: "replayed-header", Why: "header of another segment", Error: "corrupt", At: at(1)}, cat(q[0], p[1], p[2], p[3], p[4])},
		{vector{File: "after-the-end", Why: "bytes after the end frame", Error: "corrupt", At: int64(len(good)), Records: 6}, append(bytes.Clone(good), p[1]...)},
	}, layeredVectors(t, key, good)...) {
		v.File += Suffix
		set.Vectors = append(set.Vectors, v.vector)
		must(t, os.WriteFile(filepath.Join(vectorDir, v.File), v.data, 0o644))
	}
	data, err := json.MarshalIndent(set, "", "  ")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(vectorDir, "vectors.json"), append(data, '\n'), 0o644))
}
