package managedidentity

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const (
	namespace     = "Microsoft.ManagedIdentity"
	typeName      = "userAssignedIdentities"
	federatedType = typeName + "/federatedIdentityCredentials"
)

// Identities makes and removes service principals; the directory is one.
type Identities interface {
	CreateIdentity(ctx context.Context, tx store.Tx, name, resourceID string) (directory.ManagedIdentity, error)
	DeleteIdentity(ctx context.Context, tx store.Tx, objectID string) error
	// IdentityOf finds the system-assigned identity of a resource, or directory.ErrNotFound.
	IdentityOf(ctx context.Context, resourceID string) (directory.ManagedIdentity, error)
	PutIdentityCredential(tx store.Tx, objectID string, c directory.IdentityCredential) (created bool, err error)
	IdentityCredentials(tx store.Tx, objectID string) ([]directory.IdentityCredential, error)
	DeleteIdentityCredential(tx store.Tx, objectID, name string) error
}

// Assignments removes the role assignments at and below a scope in the
// caller's transaction: what is made anew under an old name must not inherit
// the old one's rights.
type Assignments interface {
	RemoveScope(tx store.Tx, scope string) error
}

// Front is the front door.
type Front interface {
	provider.Dispatcher
	Providers() []provider.Provider
}

// Config is what the provider needs; Log and Now have defaults.
type Config struct {
	Store      store.Store
	Identities Identities
	// Assignments may be nil only where nobody can make role assignments.
	Assignments Assignments
	// Front is asked where the owner of a system-assigned identity is.
	Front Front
	Log   *slog.Logger
	Now   func() time.Time
}

// New returns the provider of Microsoft.ManagedIdentity.
func New(cfg Config) provider.Provider {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &rp{cfg}
}

type rp struct{ Config }

func (p *rp) Namespace() string { return namespace }

func versions() []string {
	return []string{"2024-11-30", "2023-07-31-preview", "2023-01-31", "2022-01-31-preview", "2021-09-30-preview", "2018-11-30", "2015-08-31-preview"}
}

func (p *rp) Types() []provider.ResourceType {
	var locations []string
	for _, l := range ids.Locations() {
		locations = append(locations, l.Display())
	}
	return []provider.ResourceType{
		{Type: typeName, APIVersions: versions(), Locations: locations, Tracked: true, Capabilities: "SupportsTags, SupportsLocation"},
		{Type: federatedType, APIVersions: slices.DeleteFunc(versions(), func(v string) bool { return v < "2022" })},
		{Type: "identities", APIVersions: versions(), Capabilities: "SupportsExtension"},
		{Type: "operations", APIVersions: versions()},
	}
}

// Handle serves one request.
func (p *rp) Handle(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	route := req.Method + " " + strings.ToLower(req.ID.TypePath())
	if req.ID.IsCollection() {
		route += "/"
	}
	if req.Action != "" {
		return nil, azerr.OperationNotSupported(req.Action, namespace+"/"+req.ID.TypePath())
	}
	switch route {
	case "PUT userassignedidentities":
		return p.put(ctx, req)
	case "PATCH userassignedidentities":
		return p.patch(ctx, req)
	case "GET userassignedidentities":
		return p.get(ctx, req)
	case "DELETE userassignedidentities":
		return p.delete(ctx, req)
	case "GET userassignedidentities/":
		return p.list(ctx, req)
	case "PUT userassignedidentities/federatedidentitycredentials":
		return p.putFederated(ctx, req)
	case "GET userassignedidentities/federatedidentitycredentials":
		return p.getFederated(ctx, req)
	case "DELETE userassignedidentities/federatedidentitycredentials":
		return p.deleteFederated(ctx, req)
	case "GET userassignedidentities/federatedidentitycredentials/":
		return p.listFederated(ctx, req)
	case "GET identities":
		return p.getSystemAssigned(ctx, req)
	case "GET identities/":
		return p.listSystemAssigned(ctx, req)
	case "GET operations/":
		return &provider.Response{Status: http.StatusOK, Body: operationList()}, nil
	}
	return nil, azerr.MethodNotAllowed(req.Method, req.ID.Type())
}

// Resources lists the identities for generic lists.
func (p *rp) Resources(ctx context.Context, subscription, group string) ([]provider.Resource, error) {
	records, err := p.records(ctx, subscription, group)
	if err != nil {
		return nil, err
	}
	out := make([]provider.Resource, 0, len(records))
	for _, r := range records {
		id := r.id()
		out = append(out, provider.Resource{ID: id, IDText: id.String(), Name: r.Name, Type: namespace + "/" + typeName, Location: string(r.Location),
			Tags: r.Tags, APIVersion: versions()[0], ProvisioningState: "Succeeded", CreatedTime: wireTime(r.Created), ChangedTime: wireTime(r.Changed)})
	}
	return out, nil
}

func (p *rp) records(ctx context.Context, subscription, group string) ([]record, error) {
	var records []record
	err := p.Store.View(ctx, func(tx store.Tx) (err error) {
		records, err = store.ListJSON[record](tx, bucket, prefix(subscription, group))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list identities: %w", err)
	}
	return records, nil
}

func operationList() provider.OperationList {
	var out provider.OperationList
	for _, o := range [][2]string{{"read", "Get or list user-assigned identities"}, {"write", "Create or update a user-assigned identity"}, {"delete", "Delete a user-assigned identity"}} {
		out.Value = append(out.Value, provider.Operation{Name: namespace + "/" + typeName + "/" + o[0], Display: provider.OperationDisplay{Provider: "Microsoft Managed Identity", Resource: "User Assigned Identity", Operation: o[1], Description: o[1] + "."}})
	}
	return out
}
