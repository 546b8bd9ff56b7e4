package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

type contextKey struct{}

// Request carries the ids of one HTTP request through context.
type Request struct {
	ID            string // x-ms-request-id, a fresh GUID
	CorrelationID string // x-ms-correlation-request-id, the caller's or fresh
	ClientID      string // x-ms-client-request-id as sent, may be empty
}

// WithRequest reads or makes the ids of r and stores them in its context.
func WithRequest(r *http.Request) (*http.Request, Request) {
	info := Request{ID: ids.NewGUID(), CorrelationID: r.Header.Get("x-ms-correlation-request-id"), ClientID: r.Header.Get("x-ms-client-request-id")}
	if !ids.IsGUID(info.CorrelationID) {
		info.CorrelationID = ids.NewGUID()
	}
	return r.WithContext(context.WithValue(r.Context(), contextKey{}, info)), info
}

// RequestFrom returns the ids stored by WithRequest; zero when there are none.
func RequestFrom(ctx context.Context) Request {
	info, _ := ctx.Value(contextKey{}).(Request)
	return info
}

// SetCommonHeaders writes the headers every answer of every plane carries.
func SetCommonHeaders(h http.Header, info Request) {
	h.Set("Cache-Control", "no-cache")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "-1")
	h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	h.Set("X-Content-Type-Options", "nosniff")
	if info.ID != "" {
		h.Set("x-ms-request-id", info.ID)
	}
	if info.ClientID != "" {
		h.Set("x-ms-client-request-id", info.ClientID)
	}
}

// WriteJSON writes body with status. A json.RawMessage is written as it is;
// nil means an empty body with Content-Length 0.
func WriteJSON(w http.ResponseWriter, status int, body any) {
	if body == nil {
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(status)
		return
	}
	data, ok := body.(json.RawMessage)
	if !ok {
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(body); err != nil {
			panic("BUG: response does not marshal: " + err.Error())
		}
		data = bytes.TrimRight(buf.Bytes(), "\n")
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client is gone; there is nobody to tell
}

// WriteError writes err in Azure's envelope {"error":{…}} and logs it: 5xx as
// Error with its cause, the rest as Warn with code only.
func WriteError(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	e := azerr.From(err)
	for k, vs := range e.Header {
		w.Header()[http.CanonicalHeaderKey(k)] = vs
	}
	w.Header().Set("x-ms-error-code", e.Code)
	info := RequestFrom(r.Context())
	attrs := []any{"request_id", info.ID, "method", r.Method, "host", r.Host, "path", r.URL.Path, "status", e.Status, "code", e.Code}
	if e.Status >= 500 {
		log.ErrorContext(r.Context(), "request failed", append(attrs, "error", errors.Unwrap(e))...)
	} else {
		log.WarnContext(r.Context(), "request refused", attrs...)
	}
	WriteJSON(w, e.Status, map[string]any{"error": e})
}

// ErrTooLarge is returned by ReadBody when the body is over the limit.
var ErrTooLarge = errors.New("request body is too large")

// ReadBody reads at most limit bytes of the body, or returns ErrTooLarge.
func ReadBody(r *http.Request, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read request body: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, ErrTooLarge
	}
	return data, nil
}

// BearerToken returns the token of an Authorization header, "" when there is none.
func BearerToken(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// Time prints t as Azure does: UTC with seven fraction digits and Z.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z") }
