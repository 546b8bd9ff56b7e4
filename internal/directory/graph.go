package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/wire"
)

// maxGraphBytes bounds a request body.
const maxGraphBytes = 256 << 10

// graphAudiences are what a token for Graph may name.
func graphAudiences() []string {
	return []string{"https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000"}
}

// graphContext is the prefix of every @odata.context.
const graphContext = "https://graph.microsoft.com/v1.0/$metadata#"

// graphAnswer is what a Graph operation answers; a nil body is empty.
type graphAnswer struct {
	status int
	body   any
}

// graphCall is one admitted request, with the path split after /v1.0/.
type graphCall struct {
	*http.Request
	caller authz.Principal
	// set is the entity set in lower case; key is the object id or "" for the
	// set itself; appID is the alternate key of set(appId='…').
	set, key, appID string
	// rest is what follows the entity, in lower case.
	rest string
}

// GraphHandler serves the part of Microsoft Graph v1.0 that clients use to
// find themselves and to make another service principal. Every call needs the
// directory right for it; everything else of Graph is refused by name.
func (d *Directory) GraphHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, info := wire.WithRequest(r)
		if id := r.Header.Get("client-request-id"); id != "" {
			info.ClientID = id
		}
		wire.SetCommonHeaders(w.Header(), info)
		w.Header().Set("request-id", info.ID)
		w.Header().Set("OData-Version", "4.0")
		answer, err := d.graph(r)
		if err != nil {
			d.writeGraphError(w, r, info, err)
			return
		}
		wire.WriteJSON(w, answer.status, answer.body)
	})
}

func (d *Directory) graph(r *http.Request) (graphAnswer, error) {
	caller, err := d.Verify(r.Context(), wire.BearerToken(r), graphAudiences()...)
	if err != nil {
		return graphAnswer{}, graphTokenError(err)
	}
	call, err := parseGraphCall(r, caller)
	if err != nil {
		return graphAnswer{}, err
	}
	switch call.set {
	case "me":
		return d.graphMe(call)
	case "users":
		return d.graphUsers(call)
	case "groups":
		return d.graphGroups(call)
	case "domains":
		return d.graphDomains(call)
	case "applications":
		return d.graphApplications(call)
	case "serviceprincipals":
		return d.graphPrincipals(call)
	case "directoryobjects":
		return d.graphDirectoryObjects(call)
	default:
		return graphAnswer{}, azerr.GraphSegmentNotFound(quoted(call.set))
	}
}

// parseGraphCall splits /v1.0/{set}[/{id} | (appId='{id}')][/{rest}].
func parseGraphCall(r *http.Request, caller authz.Principal) (graphCall, error) {
	call := graphCall{Request: r, caller: caller}
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if !strings.EqualFold(segments[0], "v1.0") {
		return call, azerr.GraphNotSupported(fmt.Sprintf("Version '%s' of Microsoft Graph", quoted(segments[0])))
	}
	segments = segments[1:]
	if len(segments) == 0 {
		return call, azerr.GraphSegmentNotFound("")
	}
	call.set = strings.ToLower(segments[0])
	segments = segments[1:]
	if set, text, ok := strings.Cut(call.set, "('"); ok {
		if text, ok = cutSuffix(text, "')", ok); !ok || text == "" {
			return call, azerr.GraphBadRequest("The key of '" + quoted(set) + "' must be ('{id}').")
		}
		call.set, call.key = set, strings.ReplaceAll(text, "''", "'")
	} else if set, alternate, ok := strings.Cut(call.set, "("); ok {
		id, ok := strings.CutPrefix(alternate, "appid='")
		if id, ok = cutSuffix(id, "')", ok); !ok || id == "" {
			return call, azerr.GraphBadRequest("The key of '" + quoted(set) + "' must be (appId='{id}').")
		}
		call.set, call.appID = set, id
	} else if len(segments) > 0 {
		call.key, segments = segments[0], segments[1:]
	}
	call.rest = strings.ToLower(strings.Join(segments, "/"))
	return call, nil
}

func cutSuffix(text, suffix string, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	return strings.CutSuffix(text, suffix)
}

// named reports whether the call is about one entity.
func (c graphCall) named() bool { return c.key != "" || c.appID != "" }

// id is the id the caller used, for errors.
func (c graphCall) id() string { return quoted(c.key + c.appID) }

// body decodes a JSON object. Properties are taken out by name; what is left
// must be empty, so that nothing asked for is silently dropped.
func (c graphCall) body() (graphBody, error) {
	data, err := wire.ReadBody(c.Request, maxGraphBytes)
	if errors.Is(err, wire.ErrTooLarge) {
		return nil, azerr.GraphTooLarge()
	}
	var body graphBody
	if err != nil || json.Unmarshal(data, &body) != nil || body == nil {
		return nil, azerr.GraphBadRequest("Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
	}
	return body, nil
}

type graphBody map[string]json.RawMessage

// take decodes a property into value and removes it; an absent or null one
// leaves value alone.
func (b graphBody) take(name string, value any) error {
	raw, ok := b[name]
	delete(b, name)
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, value); err != nil {
		return azerr.GraphBadRequest(fmt.Sprintf("The property '%s' has a value of the wrong type.", name))
	}
	return nil
}

// finish refuses a property that was not taken and is not empty.
func (b graphBody) finish(resource string) error {
	for name, raw := range b {
		switch strings.Join(strings.Fields(string(raw)), "") {
		case "null", "[]", "{}", `""`:
		default:
			return azerr.GraphNotSupported(fmt.Sprintf("The property '%s' of resource '%s'", quoted(name), resource))
		}
	}
	return nil
}

// permit asks the authorizer for a directory right.
func (d *Directory) permit(ctx context.Context, caller authz.Principal, action string) error {
	if d.authorizer == nil {
		return azerr.GraphRequestDenied()
	}
	decision, err := d.authorizer.Authorize(ctx, caller, "microsoft.directory/"+action, "/")
	if err != nil {
		return err
	}
	if !decision.Allowed {
		return azerr.GraphRequestDenied()
	}
	return nil
}

func graphTokenError(err error) error {
	var e *TokenError
	if !errors.As(err, &e) {
		return err
	}
	switch e.Kind {
	case Missing:
		return azerr.GraphInvalidAuthenticationToken("Access token is empty.")
	case Expired:
		return azerr.GraphInvalidAuthenticationToken("Lifetime validation failed, the token is expired.")
	case NotYetValid:
		return azerr.GraphInvalidAuthenticationToken("Lifetime validation failed, the token is not yet valid.")
	case Malformed:
		return azerr.GraphInvalidAuthenticationToken("CompactToken parsing failed with error code: 80049217")
	default:
		return azerr.GraphInvalidAuthenticationToken("Access token validation failure. Invalid " + strings.ToLower(string(e.Kind)) + ".")
	}
}

// writeGraphError writes Graph's envelope, whose innerError names the request.
func (d *Directory) writeGraphError(w http.ResponseWriter, r *http.Request, info wire.Request, err error) {
	type inner struct {
		Date            string `json:"date"`
		RequestID       string `json:"request-id"`
		ClientRequestID string `json:"client-request-id"`
	}
	type body struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Inner   inner  `json:"innerError"`
	}
	e := azerr.From(err)
	for k, vs := range e.Header {
		w.Header()[k] = vs
	}
	attrs := []any{"request_id", info.ID, "method", r.Method, "path", r.URL.Path, "status", e.Status, "code", e.Code}
	if e.Status >= 500 {
		d.log.ErrorContext(r.Context(), "graph request failed", append(attrs, "error", errors.Unwrap(e))...)
	} else {
		d.log.WarnContext(r.Context(), "graph request refused", attrs...)
	}
	clientID := info.ClientID
	if clientID == "" {
		clientID = info.ID
	}
	wire.WriteJSON(w, e.Status, map[string]any{"error": body{e.Code, e.Message, inner{d.now().UTC().Format("2006-01-02T15:04:05"), info.ID, clientID}}})
}
