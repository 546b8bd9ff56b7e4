package provider

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// Provider serves the resource types of one namespace. It must be safe for
// concurrent use.
type Provider interface {
	// Namespace is the namespace in the casing the service itself writes ("Microsoft.Kusto").
	Namespace() string
	// Types lists the resource types served, in the order of the registration document.
	Types() []ResourceType
	// Handle serves one request. An error becomes a wire error through
	// azerr.From. A write must be complete and durable, or an operation that
	// survives a restart must have been started, before Handle returns.
	Handle(ctx context.Context, req *Request) (*Response, error)
	// Resources lists the tracked (top-level) resources of a subscription, or of
	// one resource group when group is not empty (compared without case), for
	// generic lists and for the deletion of groups.
	Resources(ctx context.Context, subscription, group string) ([]Resource, error)
}

// Preflighter is implemented by providers that can refuse a write before it is
// made; deployments and validate call it. It must change nothing.
type Preflighter interface {
	Preflight(ctx context.Context, req *Request) error
}

// Mover is implemented by providers whose top-level resources can be given
// another resource group or subscription. The resources of others are refused
// by name.
type Mover interface {
	// CheckMove says why a resource cannot move; it must change nothing.
	CheckMove(ctx context.Context, from, to ids.ID) error
	// Move rewrites everything that is kept about from, and about what is below
	// it, inside the caller's transaction, in which all resources of a request
	// move or none does.
	Move(ctx context.Context, tx store.Tx, from, to ids.ID) error
	// Moved is called once that transaction is committed: what the provider
	// keeps in memory of from must not be used any more. by asked for the move.
	Moved(ctx context.Context, from, to ids.ID, by authz.Principal)
}

// Extending is implemented by providers whose resources can be extensions of
// another namespace's. The front door tells them what was deleted, and a move
// what went away: no extension outlives what it extends, or a resource made
// anew under the id would have it.
type Extending interface {
	// RemoveExtensions forgets every resource that extends of, or anything below
	// it, in the caller's transaction.
	RemoveExtensions(tx store.Tx, of ids.ID) error
}

// AnyTyped is implemented by providers that serve types they do not list.
type AnyTyped interface {
	// AnyType describes the type of that path; ok is false when it is not served.
	AnyType(path string) (t ResourceType, ok bool)
}

// SelfGuarding is implemented by providers with requests for which the front
// door asks no right, because the answer holds only what the caller may see or
// the provider decides by what the body says. It must be true of nothing else.
type SelfGuarding interface {
	ShowsOnlyOwn(req *Request) bool
}

// ResourceType describes one type for api-version checks and for
// GET /subscriptions/{s}/providers/{namespace}.
type ResourceType struct {
	// Type is the path without the namespace: "clusters/databases".
	Type string
	// APIVersions are the known versions, newest first. A well-formed date not
	// older than the oldest is accepted; the request is shaped by the newest
	// known version that is not newer (see Request.Shape).
	APIVersions []string
	// Locations are display names; empty for types without a location.
	Locations []string
	// Capabilities is the registration document's text, for example
	// "SupportsTags, SupportsLocation".
	Capabilities string
	// ChecksETag types apply If-Match and If-None-Match themselves; for all
	// others the front door does.
	ChecksETag bool
	// NoBody types are written without a body: the id says everything.
	NoBody bool
	// Replaced types are replaced by a PUT as a whole: what it leaves out is
	// gone. In others it stays as it was, but for tags.
	Replaced bool
	// Tracked types have a location and tags and appear in generic lists.
	Tracked bool
	// Actions are the POST actions ("stop", "listPrincipals") and the
	// sub-paths that are actions although they look like a type.
	Actions []string
}

// Request is one parsed ARM request.
type Request struct {
	Method string
	// ID names the resource, the collection (last segment without a name) or
	// the bare provider scope. The casing is the caller's.
	ID ids.ID
	// Action is the POST action below the resource, "" otherwise.
	Action string
	// APIVersion is the version as sent; Shape is the known version that shapes it.
	APIVersion string
	Shape      string
	Query      url.Values
	Header     http.Header
	// Body is valid JSON, or nil when the request has none.
	Body json.RawMessage
	// Principal is the caller.
	Principal authz.Principal
	// BaseURL is scheme and host the caller used ("https://management.azure.com"),
	// for the absolute URLs of async headers.
	BaseURL       string
	RequestID     string
	CorrelationID string
	// GroupLocation is the resource group's location in normal form, "" without a group.
	GroupLocation string
}

// Response is what the front door writes.
type Response struct {
	Status int
	// Body is marshalled as JSON; nil means an empty body. json.RawMessage is
	// written as it is.
	Body   any
	Header http.Header
	// OperationID is the operation this request started, "" for none. The
	// provider sets the async headers itself; deployments wait on the id.
	OperationID string
}

// Resource is a tracked resource in generic lists.
type Resource struct {
	ID         ids.ID            `json:"-"`
	IDText     string            `json:"id"`
	Name       string            `json:"name"`
	Type       string            `json:"type"`
	Location   string            `json:"location,omitempty"`
	Kind       string            `json:"kind,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	SKU        json.RawMessage   `json:"sku,omitempty"`
	Identity   json.RawMessage   `json:"identity,omitempty"`
	APIVersion string            `json:"-"` // the newest known version, for a GET of the whole resource
	// ProvisioningState, CreatedTime and ChangedTime are added by $expand.
	ProvisioningState string `json:"provisioningState,omitempty"`
	CreatedTime       string `json:"createdTime,omitempty"`
	ChangedTime       string `json:"changedTime,omitempty"`
}

// Dispatcher runs a request through the front door: routing, api-version,
// authorisation and provider, exactly as if it had come over HTTP from
// req.Principal. Deployments write resources only through it; providers use it
// to read resources of another namespace with first-party authority.
type Dispatcher interface {
	Dispatch(ctx context.Context, req *Request) (*Response, error)
}
