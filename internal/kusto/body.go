package kusto

import (
	"compress/flate"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
)

// requestBody undoes the Content-Encoding of a request body.
func requestBody(r *http.Request) (io.ReadCloser, error) {
	switch strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))) {
	case "", "identity":
		return r.Body, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, badRequest("the request body is not valid gzip")
		}
		return z, nil
	case "deflate":
		return flate.NewReader(r.Body), nil
	}
	return nil, badRequest("Content-Encoding '%s' is not supported; gzip and deflate are", r.Header.Get("Content-Encoding"))
}

// responseBody compresses an answer when the client accepts gzip. close must
// be called when the answer is complete.
func responseBody(w http.ResponseWriter, r *http.Request) (out io.Writer, closeBody func() error) {
	if !acceptsGzip(r.Header.Get("Accept-Encoding")) {
		return w, func() error { return nil }
	}
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Add("Vary", "Accept-Encoding")
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		panic("BUG: gzip level: " + err.Error())
	}
	return z, z.Close
}

func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(name, "gzip") && strings.ReplaceAll(params, " ", "") != "q=0" {
			return true
		}
	}
	return false
}
