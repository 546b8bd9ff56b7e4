//go:build cgo

package duckdb

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/kustos-io/kustos/internal/engine"
)

// DuckDB's messages begin with the kind of the error. Those that quote a value
// of a row are replaced whole; the others name our own columns and functions
// and only lose what stands in quotes and the statement they repeat.
var prefixes = []struct {
	prefix  string
	kind    engine.Kind
	message string // "" keeps DuckDB's text, cleaned
}{
	{"Conversion Error", engine.Conversion, "a value cannot be converted to the type that is asked for"},
	{"Out of Range Error", engine.Overflow, "a number is out of the range of its type"},
	{"Out of Memory Error", engine.OutOfMemory, "the statement needs more memory than the engine may use"},
	{"INTERRUPT Error", engine.Interrupted, "the statement was interrupted"},
	{"Constraint Error", engine.BadData, "a value breaks a constraint of the table"},
	{"IO Error", engine.BadData, "a file cannot be read or written"},
	{"Invalid Input Error", engine.BadData, "a function was given a value it cannot take"},
	{"Serialization Error", engine.BadData, "a file cannot be decoded"},
	{"Mismatch Type Error", engine.Conversion, "values of different types meet"},
	{"Catalog Error", engine.Internal, ""},
	{"Binder Error", engine.Internal, ""},
	{"Parser Error", engine.Internal, ""},
	{"Not implemented Error", engine.Internal, ""},
}

var (
	quoted   = regexp.MustCompile(`'(?:[^']|'')*'|"(?:[^"]|"")*"`)
	repeated = regexp.MustCompile(`(?s)\n+\s*LINE \d+:.*`)
)

// fault makes a refusal of one of DuckDB's messages.
func fault(message string) error {
	for _, p := range prefixes {
		if !strings.HasPrefix(message, p.prefix) {
			continue
		}
		if p.message != "" {
			return &engine.Fault{Kind: p.kind, Message: p.message}
		}
		return &engine.Fault{Kind: p.kind, Message: clean(message)}
	}
	kind, _, _ := strings.Cut(message, ":")
	if len(kind) > 40 {
		kind = "error of unknown kind"
	}
	return &engine.Fault{Kind: engine.Internal, Message: kind}
}

func clean(message string) string {
	message = repeated.ReplaceAllString(message, "")
	message = quoted.ReplaceAllString(message, "…")
	if len(message) > 500 {
		message = message[:500] + "…"
	}
	return strings.ToValidUTF8(message, "?")
}

// broken says that DuckDB will answer nothing any more after this message.
func broken(message string) bool {
	return strings.HasPrefix(message, "FATAL Error") || strings.HasPrefix(message, "INTERNAL Error") ||
		strings.Contains(message, "database has been invalidated")
}

func badCommand(format string, args ...any) error {
	return &engine.Fault{Kind: engine.BadCommand, Message: fmt.Sprintf(format, args...)}
}

func badData(message string) error {
	return &engine.Fault{Kind: engine.BadData, Message: message}
}
