package arm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/wire"
)

// ServeHTTP serves management.azure.com.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r, info := wire.WithRequest(r)
	f.commonHeaders(w.Header(), info)
	if f.serveMetadata(w, r) {
		return
	}
	resp, gateway, err := f.serveHTTP(w, r, info)
	if err != nil {
		if gateway {
			w.Header().Set("x-ms-failure-cause", "gateway")
		}
		f.writeError(w, r, err)
		return
	}
	for k, values := range resp.Header {
		w.Header()[http.CanonicalHeaderKey(k)] = values
	}
	wire.WriteJSON(w, resp.Status, resp.Body)
}

func (f *Front) serveHTTP(w http.ResponseWriter, r *http.Request, info wire.Request) (resp *provider.Response, gateway bool, err error) {
	req, err := f.parse(r, info)
	if err != nil {
		return nil, true, err
	}
	if _, err := f.checkVersion(&req); err != nil {
		return nil, true, err
	}
	if req.Principal, err = f.authenticate(r); err != nil {
		return nil, true, err
	}
	subscription, _ := home(req.ID)
	if err := f.quota.take(w.Header(), req.Method, subscription, req.Principal.ObjectID, f.now()); err != nil {
		return nil, true, err
	}
	req.Body, err = wire.ReadBody(r, MaxBody)
	if errors.Is(err, wire.ErrTooLarge) {
		return nil, true, azerr.RequestContentTooLarge(MaxBody)
	}
	if err != nil {
		return nil, true, azerr.InvalidRequestContent("The content ended early").Because(err)
	}
	return f.serve(r.Context(), req)
}

// parse reads everything but the body and the caller.
func (f *Front) parse(r *http.Request, info wire.Request) (provider.Request, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return provider.Request{}, azerr.InvalidQueryParameter("query", r.URL.RawQuery, "the query string is malformed").Because(err)
	}
	req := provider.Request{
		Method: r.Method, APIVersion: queryValue(query, "api-version"), Query: query, Header: withoutCredentials(r.Header),
		BaseURL: "https://" + r.Host, RequestID: info.ID, CorrelationID: info.CorrelationID,
	}
	if r.Host == "" {
		req.BaseURL = ""
	}
	req.ID, req.Action, err = parsePath(r.URL.EscapedPath(), r.Method)
	if err != nil {
		if req.APIVersion == "" {
			return req, azerr.MissingAPIVersionParameter()
		}
		// Azure takes a path that is no route of its own for one in an unknown version.
		return req, azerr.InvalidAPIVersionParameter(req.APIVersion, ownVersions()).Because(err)
	}
	return req, nil
}

// withoutCredentials is what a provider sees of the headers: it knows the
// caller and has no use for a token that it could log or pass on.
func withoutCredentials(h http.Header) http.Header {
	h = h.Clone()
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie", "x-ms-authorization-auxiliary"} {
		h.Del(name)
	}
	return h
}

// queryValue compares the key without case, as ARM does.
func queryValue(query url.Values, key string) string {
	if v := query.Get(key); v != "" {
		return v
	}
	for k, values := range query {
		if is(k, key) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

func (f *Front) commonHeaders(h http.Header, info wire.Request) {
	wire.SetCommonHeaders(h, info)
	h.Set("x-ms-correlation-request-id", info.CorrelationID)
	now := f.now().UTC().Format("20060102T150405Z")
	h.Set("x-ms-routing-request-id", fmt.Sprintf("LOCAL:%s:%s", now, ids.NewGUID()))
}

// writeError writes err; a HEAD has the status and the code's header only.
func (f *Front) writeError(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // the client has gone
	}
	wire.WriteError(w, r, f.log, err)
}
