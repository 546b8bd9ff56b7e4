package kusto

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/wire"
)

// readBody reads a request body of at most limit bytes after its
// Content-Encoding is undone. A body that expands beyond the limit is refused
// after limit bytes, whatever it would have become.
func readBody(r *http.Request, limit int64) ([]byte, error) {
	// Compressed data that expands to nothing would otherwise be read for ever.
	r.Body = http.MaxBytesReader(nil, r.Body, limit+1<<20)
	encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding")))
	body, err := decoded(r.Body, encoding)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	r.Body = body
	data, err := wire.ReadBody(r, limit)
	var raw *http.MaxBytesError
	switch {
	case errors.Is(err, wire.ErrTooLarge), errors.As(err, &raw):
		return nil, tooLarge(limit)
	case err != nil && malformed(err):
		return nil, badRequest("the request body is not valid %s", encoding)
	case err != nil && r.Context().Err() == nil:
		return nil, badRequest("the request body ended early")
	}
	return data, err
}

// decoded undoes a content coding. HTTP's "deflate" is the zlib format; clients
// that send the bare format instead are understood too.
func decoded(body io.ReadCloser, encoding string) (io.ReadCloser, error) {
	switch encoding {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, badRequest("the request body is not valid gzip")
		}
		return z, nil
	case "deflate":
		b := bufio.NewReader(body)
		if head, err := b.Peek(2); err == nil && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
			z, err := zlib.NewReader(b)
			if err != nil {
				return nil, badRequest("the request body is not valid deflate")
			}
			return z, nil
		}
		return flate.NewReader(b), nil
	}
	return nil, badRequest("Content-Encoding '%s' is not supported; gzip and deflate are", encoding)
}

// malformed reports whether err is a decompressor's complaint about its input.
func malformed(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, zlib.ErrHeader) ||
		errors.Is(err, zlib.ErrChecksum) || errors.As(err, &corrupt)
}

// lateBody is the body of an answer whose status is decided by its first
// write: until then the answer can still become an HTTP error.
type lateBody struct {
	w       http.ResponseWriter
	r       *http.Request
	out     io.Writer // nil until the first write
	closing func() error
}

func (b *lateBody) Write(p []byte) (int, error) {
	if b.out == nil {
		b.w.Header().Set("Content-Type", "application/json; charset=utf-8")
		b.out, b.closing = responseBody(b.w, b.r)
	}
	return b.out.Write(p)
}

// begun reports whether something was sent.
func (b *lateBody) begun() bool { return b.out != nil }

func (b *lateBody) close() error {
	if b.closing == nil {
		return nil
	}
	return b.closing()
}

// overtaken reports whether a failure is the end of the cluster's key and came
// before anything was sent: then the answer is the refusal itself, and not a
// set of rows that breaks off.
func (b *lateBody) overtaken(failure *Error) bool {
	return failure != nil && failure.Status == http.StatusPreconditionFailed && !b.begun()
}

// responseBody compresses an answer when the client accepts gzip or deflate.
// closeBody must be called when the answer is complete.
func responseBody(w http.ResponseWriter, r *http.Request) (out io.Writer, closeBody func() error) {
	w.Header().Add("Vary", "Accept-Encoding")
	accepted := r.Header.Get("Accept-Encoding")
	switch {
	case accepts(accepted, "gzip"):
		w.Header().Set("Content-Encoding", "gzip")
		z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			panic("BUG: gzip level: " + err.Error())
		}
		return z, z.Close
	case accepts(accepted, "deflate"):
		w.Header().Set("Content-Encoding", "deflate")
		z, err := zlib.NewWriterLevel(w, zlib.BestSpeed)
		if err != nil {
			panic("BUG: zlib level: " + err.Error())
		}
		return z, z.Close
	}
	return w, func() error { return nil }
}

// accepts reads one coding out of an Accept-Encoding header; a weight of zero
// forbids it.
func accepts(header, coding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if !strings.EqualFold(strings.TrimSpace(name), coding) {
			continue
		}
		weight := strings.TrimRight(strings.TrimPrefix(strings.ReplaceAll(params, " ", ""), "q=0"), "0.")
		return params == "" || weight != ""
	}
	return false
}
