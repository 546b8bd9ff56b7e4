package kusto

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/wire"
)

// Runtime is what the data plane needs of the clusters; id is a cluster id.
type Runtime interface {
	ByHost(host string) (id string, ok bool)
	Spec(ctx context.Context, id string) (cluster.Spec, error)
	State(ctx context.Context, id string) (cluster.State, error)
	DatabaseState(ctx context.Context, id, database string) (cluster.DatabaseState, error)
	Grants(ctx context.Context, id string) ([]catalog.Grant, error)
	Databases(ctx context.Context, id string) ([]catalog.Database, error)
	Database(ctx context.Context, id, name string) (catalog.Database, error)
	CreateTable(ctx context.Context, id, database string, t catalog.Table) (catalog.Table, error)
	AlterTable(ctx context.Context, id, database string, t catalog.Table) (catalog.Table, error)
	DropTable(ctx context.Context, id, database, table string) error
	Tables(ctx context.Context, id, database string) ([]catalog.Table, error)
	Table(ctx context.Context, id, database, table string) (catalog.Table, error)
	TableStats(ctx context.Context, id, database, table string) (catalog.TableStats, error)
	TablePolicy(ctx context.Context, id, database, table string, kind catalog.PolicyKind) (json.RawMessage, error)
	SetTablePolicy(ctx context.Context, id, database, table string, kind catalog.PolicyKind, body json.RawMessage) error
	Query(ctx context.Context, id string, q cluster.Query) (engine.Rows, error)
	Ingest(ctx context.Context, id, database, table string, batch arrow.RecordBatch) error
	IngestParquet(ctx context.Context, id, database, table string, file io.Reader, size int64, columns map[string]string) (int64, error)
	IngestQuery(ctx context.Context, id, database, table string, q cluster.Query) (int64, error)
}

// Verifier checks an access token; satisfied by the directory.
type Verifier interface {
	Verify(ctx context.Context, token string, audiences ...string) (authz.Principal, error)
}

// Streaming tells whether the cluster flag enableStreamingIngest is on; it is
// the resource provider's to say.
type Streaming interface {
	StreamingIngest(ctx context.Context, clusterID string) (bool, error)
}

// Config is what the data plane is made from.
type Config struct {
	Runtime   Runtime
	Verifier  Verifier
	Streaming Streaming
	TenantID  string
	Version   string // product version, for .show version
	Started   time.Time
	Now       func() time.Time
	Log       *slog.Logger
}

// Handler serves the data plane of every cluster; the host name says which.
type Handler struct {
	runtime   Runtime
	verifier  Verifier
	streaming Streaming
	tenant    string
	version   string
	started   time.Time
	now       func() time.Time
	log       *slog.Logger
	mux       *http.ServeMux
}

// New makes the handler.
func New(c Config) *Handler {
	h := &Handler{runtime: c.Runtime, verifier: c.Verifier, streaming: c.Streaming, tenant: c.TenantID, version: c.Version,
		started: c.Started, now: c.Now, log: c.Log, mux: http.NewServeMux()}
	h.mux.HandleFunc("GET /v1/rest/auth/metadata", h.authMetadata)
	h.mux.HandleFunc("GET /v1/rest/ping", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "OK") })
	for _, method := range []string{"GET", "POST"} {
		h.mux.Handle(method+" /v2/rest/query", h.authenticated("DN.RunQuery", h.queryV2))
		h.mux.Handle(method+" /v1/rest/query", h.authenticated("DN.RunQuery", h.queryV1))
	}
	h.mux.Handle("POST /v1/rest/mgmt", h.authenticated("DN.AdminCommand", h.mgmt))
	h.mux.Handle("POST /v1/rest/ingest/{database}/{table}", h.authenticated("DN.StreamingIngest", h.stream))
	for path, methods := range map[string]string{"/v2/rest/query": "GET, POST", "/v1/rest/query": "GET, POST", "/v1/rest/mgmt": "POST", "/v1/rest/ingest/{database}/{table}": "POST", "/v1/rest/auth/metadata": "GET"} {
		h.mux.Handle(path, h.authenticated("DN.Unknown", methodNotAllowed(methods)))
	}
	h.mux.Handle("HEAD /v2/rest/query", h.authenticated("DN.Unknown", methodNotAllowed("GET, POST")))
	h.mux.Handle("HEAD /v1/rest/query", h.authenticated("DN.Unknown", methodNotAllowed("GET, POST")))
	h.mux.Handle("/", h.authenticated("DN.Unknown", func(_ http.ResponseWriter, r *http.Request, _ *call) error {
		return &Error{Status: http.StatusNotFound, Code: "General_NotFound", Type: "Kusto.Data.Exceptions.KustoRequestException",
			Message: "The path '" + r.URL.Path + "' is not served here.", Permanent: true}
	}))
	return h
}

// methodNotAllowed refuses a method of a path that is served with others.
func methodNotAllowed(methods string) func(http.ResponseWriter, *http.Request, *call) error {
	return func(w http.ResponseWriter, r *http.Request, _ *call) error {
		w.Header().Set("Allow", methods)
		return &Error{Status: http.StatusMethodNotAllowed, Code: "General_MethodNotAllowed", Type: "Kusto.Data.Exceptions.KustoRequestException",
			Message: "The method " + r.Method + " is not allowed here; " + methods + " is.", Permanent: true}
	}
}

// call is one authenticated request to one cluster.
type call struct {
	cluster cluster.Spec
	// ingest tells that the data management host name was called.
	ingest bool
	access access
	act    activity
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if crossOrigin(w, r) {
		return
	}
	h.mux.ServeHTTP(w, r)
}

// maxRequestID bounds the client's own request id, which is echoed.
const maxRequestID = 1024

// authenticated finds the cluster of the host, verifies the token and looks up
// the caller's grants before it runs fn.
func (h *Handler) authenticated(kind string, fn func(http.ResponseWriter, *http.Request, *call) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{act: activity{ID: ids.NewGUID(), ClientRequestID: r.Header.Get("x-ms-client-request-id"), Kind: kind}}
		if c.act.ClientRequestID == "" || len(c.act.ClientRequestID) > maxRequestID {
			c.act.ClientRequestID = "unspecified;" + c.act.ID
		}
		w.Header().Set("x-ms-client-request-id", c.act.ClientRequestID)
		w.Header().Set("x-ms-activity-id", c.act.ID)
		err := h.admit(r, c)
		if err == nil {
			err = fn(w, r, c)
		}
		if err != nil {
			h.fail(w, r, c, err)
		}
	})
}

func (h *Handler) admit(r *http.Request, c *call) error {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(host)
	id, ok := h.runtime.ByHost(host)
	if !ok {
		return &Error{Status: http.StatusNotFound, Code: "General_NotFound", Type: "Kusto.Data.Exceptions.KustoRequestException",
			Message: "There is no cluster at '" + host + "'.", Permanent: true}
	}
	spec, err := h.runtime.Spec(r.Context(), id)
	if err != nil {
		return err
	}
	c.cluster, c.act.Cluster = spec, strings.ToUpper(spec.Name)
	c.ingest = strings.HasPrefix(host, "ingest-") && !strings.HasPrefix(spec.URI, "https://ingest-")
	principal, err := h.verifier.Verify(r.Context(), wire.BearerToken(r), h.audiences(spec)...)
	if err != nil {
		return &Error{Status: http.StatusUnauthorized, Code: "Unauthorized", cause: err}
	}
	if c.access, err = h.accessOf(r.Context(), id, principal); err != nil {
		return err
	}
	if len(c.access.grants) == 0 {
		return c.access.require(needShow, "")
	}
	return nil
}

// audiences are the token audiences a cluster accepts.
func (h *Handler) audiences(spec cluster.Spec) []string {
	own := spec.URI
	if u, err := url.Parse(spec.URI); err == nil {
		own = "https://" + u.Host
	}
	ingest := strings.Replace(own, "https://", "https://ingest-", 1)
	return []string{"https://kusto.kusto.windows.net", own, ingest}
}

// fail writes the error envelope; a 401 has no body, as the service answers it.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, c *call, err error) {
	e := asError(err)
	attrs := []any{"request_id", c.act.ID, "cluster", c.cluster.Name, "path", r.URL.Path, "status", e.Status, "code", e.Code, "principal", c.access.principal.ObjectID}
	if e.Status >= 500 {
		h.log.ErrorContext(r.Context(), "data plane request failed", append(attrs, "error", errors.Unwrap(e))...)
	} else {
		h.log.WarnContext(r.Context(), "data plane request refused", attrs...)
	}
	if e.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer authorization_uri="https://login.microsoftonline.com/`+h.tenant+`"`)
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(e.Status)
		return
	}
	if e.Status == http.StatusPreconditionFailed {
		// Connections that carried rows are closed when a key goes. A client that
		// has heard of it begins with another one and is never cut off in a request.
		w.Header().Set("Connection", "close")
	}
	wire.WriteJSON(w, e.Status, e.wire(c.act, h.now()))
}

// authMetadata tells SDKs where to sign in. LoginEndpoint selects their list
// of trusted hosts, so it must be the public cloud's.
func (h *Handler) authMetadata(w http.ResponseWriter, _ *http.Request) {
	wire.WriteJSON(w, http.StatusOK, json.RawMessage(`{"AzureAD":{"LoginEndpoint":"https://login.microsoftonline.com","LoginMfaRequired":false,`+
		`"KustoClientAppId":"db662dc1-0cfe-4e1c-a843-19a68e65be58","KustoClientRedirectUri":"https://microsoft/kustoclient",`+
		`"KustoServiceResourceId":"https://kusto.kusto.windows.net","FirstPartyAuthorityUrl":"https://login.microsoftonline.com/`+h.tenant+`"},"dSTS":null}`))
}
