package deploy

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// FrontDoor is what the engine needs of the front door.
type FrontDoor interface {
	provider.Dispatcher
	provider.Preflighter
	// Providers lists the registered providers.
	Providers() []provider.Provider
}

// Secrets reads a secret for a parameter that refers to a vault, as the
// deployer. version is "" for the newest.
type Secrets interface {
	ParameterSecret(ctx context.Context, p authz.Principal, vault ids.ID, name, version string) (string, error)
}

// Config is what an Engine needs. Now defaults to time.Now.
type Config struct {
	Store      store.Store
	Operations *operations.Manager
	// Front may be nil and set later, see SetFront.
	Front FrontDoor
	// Secrets may be nil: parameters that refer to a vault are then refused.
	Secrets Secrets
	// Links may be nil: linked templates and parameter files are then refused.
	Links    Links
	Log      *slog.Logger
	Now      func() time.Time
	TenantID string
	// RoleDefinition finds the GUID of a built-in role by its display name; nil
	// refuses roleDefinitions().
	RoleDefinition func(name string) (id string, ok bool)
}

// Engine runs deployments. It is safe for concurrent use once SetFront is done.
type Engine struct {
	store   store.Store
	ops     *operations.Manager
	front   FrontDoor
	secrets Secrets
	links   Links
	log     *slog.Logger
	now     func() time.Time
	tenant  string
	roles   func(string) (string, bool)
	library *eval.Library
	last    atomic.Int64 // the last status id, counted down
}

// operationKind names the engine's runner.
const operationKind = "Microsoft.Resources/deployments"

// New returns an Engine and registers its runner with the operations manager;
// call it before the manager's Resume.
func New(cfg Config) *Engine {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{
		store: cfg.Store, ops: cfg.Operations, front: cfg.Front, secrets: cfg.Secrets, links: cfg.Links, log: cfg.Log, now: cfg.Now,
		tenant: cfg.TenantID, roles: cfg.RoleDefinition, library: eval.NewLibrary(),
	}
	e.ops.Handle(operationKind, e.run)
	return e
}

// SetFront sets the front door, which needs the engine to be made. It must not
// be called once requests are served or operations resumed.
func (e *Engine) SetFront(f FrontDoor) { e.front = f }

// namespace and typeName of the resources served here.
const (
	namespace = "Microsoft.Resources"
	typeName  = "Microsoft.Resources/deployments"
)

var validName = regexp.MustCompile(`^[\p{L}\p{Nd}._()-]+$`)

// HandleDeployment serves one request that the front door has admitted. The
// body is the text as it was received.
func (e *Engine) HandleDeployment(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	seg := req.ID.Segments
	switch {
	case len(seg) == 0 && strings.EqualFold(req.Action, "calculateTemplateHash"):
		return e.calculateHash(req)
	case len(seg) == 1 && seg[0].Name == "":
		return e.list(ctx, req)
	case len(seg) == 1:
		return e.deployment(ctx, req)
	case len(seg) == 2:
		switch strings.ToLower(seg[1].Type) {
		case "operations":
			return e.operations(ctx, req)
		case "operationstatuses":
			return e.status(ctx, req)
		case "operationresults":
			return &provider.Response{Status: http.StatusNoContent}, nil
		}
	}
	return nil, azerr.InvalidResourceType(req.ID.TypePath(), namespace, req.APIVersion, nil)
}

func (e *Engine) deployment(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	name := req.ID.Segments[0].Name
	if req.Method == http.MethodPut || req.Method == http.MethodPost {
		if n := len([]rune(name)); n > 64 {
			return nil, azerr.DeploymentNameLengthLimitExceeded(name)
		}
		if !validName.MatchString(name) {
			return nil, azerr.DeploymentNameInvalidCharacters(name)
		}
	}
	switch req.Method {
	case http.MethodPut:
		return e.put(ctx, req)
	case http.MethodGet, http.MethodHead:
		return e.get(ctx, req)
	case http.MethodDelete:
		return e.delete(ctx, req)
	case http.MethodPost:
		switch strings.ToLower(req.Action) {
		case "validate":
			return e.validate(ctx, req)
		case "whatif":
			return e.whatIf(ctx, req)
		case "cancel":
			return e.cancel(ctx, req)
		case "exporttemplate":
			return e.export(ctx, req)
		}
	}
	return nil, azerr.MethodNotAllowed(req.Method, typeName)
}

// key is where a deployment is stored: its scope and its name without case.
func key(scope ids.ID, name string) string {
	return scope.Key() + "|" + strings.ToLower(name)
}

func deploymentID(scope ids.ID, name string) string {
	return strings.TrimSuffix(scope.String(), "/") + "/providers/" + typeName + "/" + name
}
