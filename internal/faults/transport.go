package faults

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// vaults is the audience of the tokens that are exchanged.
	vaults = "https://vault.azure.net"
	// age and lead are how far the tokens of ExpiredToken and ClockSkew lie off:
	// longer than an identity's token lives, and than any skew is forgiven.
	age  = 48 * time.Hour
	lead = 24 * time.Hour
	// maxBody bounds what is read of an answer that is changed.
	maxBody = 1 << 20
)

// Transport applies the rules to requests that pass through inner. signer makes
// the tokens of ExpiredToken and ClockSkew.
func (i *Injector) Transport(inner http.RoundTripper, signer Signer) http.RoundTripper {
	return transport{i, inner, signer}
}

type transport struct {
	*Injector
	inner  http.RoundTripper
	signer Signer
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	rule, ok := t.strike(false, func() event {
		e := event{host: strings.ToLower(r.URL.Hostname()), operation: operation(r), cluster: clusterOf(r.Context())}
		if t.cfg.Name != nil && e.cluster != "" {
			e.clusterName = t.cfg.Name(r.Context(), e.cluster)
		}
		return e
	})
	if !ok {
		return t.inner.RoundTrip(r)
	}
	switch rule.Kind {
	case Throttled:
		return refuse(r, http.StatusTooManyRequests, "Throttled", http.Header{"Retry-After": {strconv.Itoa(rule.RetryAfter)}}), nil
	case ServerError:
		return refuse(r, http.StatusInternalServerError, "InternalError", http.Header{}), nil
	case Timeout:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case Slow:
		if err := wait(r.Context(), rule.delay); err != nil {
			return nil, err
		}
	case ExpiredToken:
		return t.dated(r, t.cfg.Now().Add(-age))
	case ClockSkew:
		return t.dated(r, t.cfg.Now().Add(lead))
	case TLSFailure:
		return nil, &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
	case WrongVersion:
		return t.otherVersion(r)
	}
	return t.inner.RoundTrip(r)
}

// operation is the last word of a key's path, "get" when it names none.
func operation(r *http.Request) string {
	last := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	switch strings.ToLower(last) {
	case "wrapkey", "unwrapkey":
		return last
	}
	return "get"
}

// refuse answers in the vault's place.
func refuse(r *http.Request, status int, code string, h http.Header) *http.Response {
	body := fmt.Sprintf(`{"error":{"code":%q,"message":"Injected by a fault rule."}}`, code)
	h.Set("Content-Type", "application/json; charset=utf-8")
	return &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// dated asks with the same identity's token of another time. A request without
// a token (the SDK's first, for the challenge) passes as it is.
func (t transport) dated(r *http.Request, at time.Time) (*http.Response, error) {
	object := objectOf(r.Header.Get("Authorization"))
	if object == "" || t.signer == nil {
		return t.inner.RoundTrip(r)
	}
	token, err := t.signer.IdentityTokenAt(r.Context(), object, vaults, at)
	if err != nil {
		// Not wrapped: an identity that another directory signs for is unknown
		// here, and that must not look like the end of that identity.
		return nil, fmt.Errorf("fault rule finds no token of another time: %v", err)
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return t.inner.RoundTrip(r)
}

// objectOf reads the object id in a bearer token, "" when there is none. The
// signature is of no interest: the token is one of ours, and is thrown away.
func objectOf(authorization string) string {
	parts := strings.Split(strings.TrimPrefix(authorization, "Bearer "), ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims struct {
		ObjectID string `json:"oid"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	return claims.ObjectID
}

// otherVersion lets the vault answer and puts another version into the key id
// of the answer.
func (t transport) otherVersion(r *http.Request) (*http.Response, error) {
	res, err := t.inner.RoundTrip(r)
	if err != nil || res.StatusCode != http.StatusOK {
		return res, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return nil, err
	}
	var answer map[string]json.RawMessage
	if json.Unmarshal(body, &answer) == nil {
		var kid string
		if json.Unmarshal(answer["kid"], &kid) == nil && kid != "" {
			answer["kid"], _ = json.Marshal(kid[:strings.LastIndexByte(kid, '/')+1] + strings.Repeat("0", 32)) // a string always encodes
			body, _ = json.Marshal(answer)                                                                     // raw messages that were just decoded do too
		}
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res.Header.Del("Content-Length")
	return res, nil
}
