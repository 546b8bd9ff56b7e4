package tour

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf16"
)

// finding is what a search of a folder saw.
type finding struct {
	files int
	bytes int64
	hits  []string // file and form of each hit
}

// search looks for the values in every file below dir: as they are, in
// UTF-16, hex and base64 at each alignment.
func search(dir string, values []string, skip func(path string) bool) (finding, error) {
	var needles [][]byte
	for _, v := range values {
		needles = append(needles, forms(v)...)
	}
	var out finding
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || skip(path) {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		out.files++
		out.bytes += int64(len(data))
		for _, n := range needles {
			if bytes.Contains(data, n) {
				out.hits = append(out.hits, path)
				break
			}
		}
		return nil
	})
	return out, err
}

// forms are the byte strings under which a text could lie in a file.
func forms(v string) [][]byte {
	raw := []byte(v)
	out := [][]byte{raw, []byte(hex.EncodeToString(raw))}
	var wide []byte
	for _, u := range utf16.Encode([]rune(v)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	out = append(out, wide)
	for shift := range 3 { // the characters that neighbours touch are cut off
		enc := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), raw...))
		from := []int{0, 2, 3}[shift]
		if len(enc) > from+8 {
			out = append(out, []byte(enc[from:len(enc)-3]))
		}
	}
	return out
}
