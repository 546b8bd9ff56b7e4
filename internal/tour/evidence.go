package tour

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/client"
)

// evidence is what the closing table shows.
type evidence struct {
	search     finding
	values     int
	answer     string
	refusal    string
	extent     string // path relative to the data folder
	extentSize int64
	cipherHex  string
}

// keyID reads key.kid of a key bundle.
func keyID(a client.Answer) (string, error) {
	var bundle struct {
		Key struct{ Kid string }
	}
	if err := json.Unmarshal(a.Body, &bundle); err != nil || bundle.Key.Kid == "" {
		return "", errors.New("the answer is not a key bundle")
	}
	return bundle.Key.Kid, nil
}

// hexLine is how many bytes of an extent the evidence shows.
const hexLine = 32

// readExtent takes a line from the middle of the largest extent.
func (e *evidence) readExtent(dir string) error {
	var path string
	err := filepath.WalkDir(dir, func(p string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(p) != ".kxt" {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Size() > e.extentSize {
			path, e.extentSize = p, info.Size()
		}
		return err
	})
	if err != nil {
		return err
	}
	if path == "" {
		return errors.New("there is no extent on the disk")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	line := make([]byte, hexLine)
	if _, err := f.ReadAt(line, e.extentSize/2); err != nil {
		return err
	}
	e.cipherHex = hex.EncodeToString(line)
	e.extent, err = filepath.Rel(dir, path)
	return err
}

// print writes the table of evidence.
func (s *story) print() error {
	e := s.evidence
	place := s.sets[0].telling[0]
	plain := []byte(place)
	if len(plain) > hexLine {
		plain = plain[:hexLine]
	}
	var rows strings.Builder
	for i, d := range s.sets {
		if i > 0 {
			rows.WriteString("; ")
		}
		fmt.Fprintf(&rows, "%s: %d rows (%s)", d.table, d.rows, d.source)
	}
	s.show.table([][2]string{
		{"cluster", s.cluster + ", " + s.uri},
		{"key", s.vaultURI() + "/keys/" + keyName},
		{"key versions", strings.Join(s.versions, ", then ")},
		{"rows", rows.String()},
		{"question", question},
		{"answer", e.answer},
		{"with the key, by query", hex.EncodeToString(plain) + "  " + string(plain)},
		{"without it, on disk", e.cipherHex + "  " + fmt.Sprintf("middle of %s (%d bytes)", e.extent, e.extentSize)},
		{"search of the data folder", fmt.Sprintf("%d values in every encoding, %d files, %d bytes: 0 hits", e.values, e.search.files, e.search.bytes)},
		{"key version disabled", e.refusal},
		{"told in", time.Since(s.began).Round(10 * time.Millisecond).String()},
	})
	return nil
}

// printer writes the steps as they happen.
type printer struct {
	out      io.Writer
	progress bool
	title    string
	began    time.Time
	n        int
}

func newPrinter(out io.Writer, progress bool) *printer {
	return &printer{out: out, progress: progress}
}

func (p *printer) begin(title string) {
	p.title, p.began = title, time.Now()
	p.n++
	if p.progress {
		fmt.Fprintf(p.out, "%2d  %s …", p.n, title)
	}
}

func (p *printer) end(detail string) {
	if p.progress {
		fmt.Fprint(p.out, "\r\033[K")
	}
	fmt.Fprintf(p.out, "%2d  %-62s %6d ms  %s\n", p.n, p.title, time.Since(p.began).Milliseconds(), detail)
}

func (p *printer) note(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

func (p *printer) table(rows [][2]string) {
	fmt.Fprintln(p.out, "\nEvidence")
	for _, r := range rows {
		fmt.Fprintf(p.out, "  %-26s %s\n", r[0], r[1])
	}
}
