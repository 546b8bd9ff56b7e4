package inspect

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/kustos-io/kustos/internal/envelope"
)

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	if r.Kind != Directory {
		r.text(&b, "")
	} else {
		fmt.Fprintf(&b, "%s\n", r.Path)
		count := map[Kind]int{}
		bytes := map[Kind]int64{}
		for _, f := range r.Files {
			f.text(&b, "  ")
			count[f.Kind]++
			bytes[f.Kind] += f.Bytes
		}
		fmt.Fprintf(&b, "%d files, %d bytes", len(r.Files), r.Bytes)
		for _, k := range []Kind{Extent, WAL, Store, Keyring, Seal, Other} {
			if count[k] > 0 {
				fmt.Fprintf(&b, "; %d %s, %d bytes", count[k], k, bytes[k])
			}
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// ciphers names what encrypts a file, the inner layer first.
func ciphers(layered bool) string {
	if layered {
		return "AES-256-GCM, then ChaCha20-Poly1305"
	}
	return "AES-256-GCM"
}

func wraps(line func(name, format string, args ...any), w envelope.WrappedDEK) {
	line("wrapped DEK", "%s", hex.EncodeToString(w.Key))
	if len(w.Layer) > 0 {
		line("of second layer", "%s", hex.EncodeToString(w.Layer))
	}
}

func (r *Report) text(b *strings.Builder, indent string) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(b, "%s  %-18s %s\n", indent, name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(b, "%s%s: %s, %d bytes\n", indent, r.Path, r.Kind, r.Bytes)
	switch {
	case r.Error != "":
		line("error", "%s", r.Error)
	case r.Extent != nil:
		e := r.Extent
		line("extent", "%s, format %d", e.ExtentID, e.FormatVersion)
		line("database key", "%s, version %d", e.DatabaseID, e.KeyVersion)
		wraps(line, e.WrappedDEK)
		line("payload", "%d bytes in %d chunks of %d, %s", e.Length, e.Chunks, e.ChunkSize, ciphers(e.Layered()))
		if e.SectionBytes > 0 {
			line("sealed section", "%d bytes", e.SectionBytes)
		}
	case r.WAL != nil:
		s := r.WAL
		line("segment", "%s, format %d", s.ID, s.FormatVersion)
		line("sequence", "%d, run %s", s.Sequence, s.Run)
		line("database key", "%s, version %d", s.DatabaseID, s.KeyVersion)
		wraps(line, s.WrappedDEK)
		line("frames", "%d, %s", len(s.Frames), ciphers(s.Layered()))
		if s.Rest > 0 {
			line("at the end", "%d bytes that are no whole frame", s.Rest)
		}
	case r.Keyring != nil:
		k := r.Keyring
		line("instance", "%s, format %d", k.InstanceID, k.Format)
		line("root key", "wrapped by the seal: %s", hex.EncodeToString(k.WrappedKey))
		for _, d := range k.DataKeys {
			line(fmt.Sprintf("data key %d", d.ID), "sealed by the root key: %s", hex.EncodeToString(d.Sealed))
		}
	case r.Kind == Seal:
		line("instance", "%s", r.Instance)
		line("key", "not shown; whoever holds this file and the data folder holds everything")
	case r.Kind == Store:
		line("values", "sealed by the barrier")
	}
}
