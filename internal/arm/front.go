package arm

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/store"
)

// MaxBody is the largest request body, in bytes.
const MaxBody = 4 << 20

// Verifier checks a bearer token for one of the audiences; its refusals are
// *authz.TokenError.
type Verifier interface {
	Verify(ctx context.Context, token string, audiences ...string) (authz.Principal, error)
}

// Deployments serves Microsoft.Resources/deployments at every scope and
// calculateTemplateHash. For these requests provider.Request.Body is the text
// as it was received: relaxed JSON, so it may not be valid JSON.
type Deployments interface {
	HandleDeployment(ctx context.Context, req *provider.Request) (*provider.Response, error)
}

// Config is what a Front needs. Log and Now have defaults.
type Config struct {
	Store      store.Store
	Verifier   Verifier
	Authorizer authz.Authorizer
	// Providers may be empty: parts that need the Front as their Dispatcher are
	// made after it and added with Register.
	Providers []provider.Provider
	// Deployments may be nil (see SetDeployments): deployments are then refused
	// as an unknown resource type.
	Deployments Deployments
	Log         *slog.Logger
	Now         func() time.Time
	// SubscriptionID is the tenant's first subscription, which is there before it
	// has a record; all others are records of package scope.
	SubscriptionID string
	TenantID       string
	Limits         Limits
}

// Front is the front door: see the package's text. It is safe for concurrent
// use once Register and SetDeployments are done.
type Front struct {
	store          store.Store
	verifier       Verifier
	authorizer     authz.Authorizer
	deployments    Deployments
	providers      []provider.Provider
	byNamespace    map[string]provider.Provider
	log            *slog.Logger
	now            func() time.Time
	subscriptionID string
	tenantID       string
	quota          *quota
	turns          turns
	gates          sync.Map // group key → *semaphore.Weighted, see enter
}

// New returns a Front for the providers given.
func New(cfg Config) *Front {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	f := &Front{
		store: cfg.Store, verifier: cfg.Verifier, authorizer: cfg.Authorizer, deployments: cfg.Deployments,
		byNamespace: map[string]provider.Provider{}, log: cfg.Log, now: cfg.Now,
		subscriptionID: cfg.SubscriptionID, tenantID: cfg.TenantID, quota: newQuota(cfg.Limits),
	}
	f.Register(cfg.Providers...)
	return f
}

// Register adds providers. It must not be called once requests are served, nor
// twice for a namespace.
func (f *Front) Register(providers ...provider.Provider) {
	for _, p := range providers {
		key := strings.ToLower(p.Namespace())
		if f.byNamespace[key] != nil {
			panic("BUG: two providers for namespace " + p.Namespace())
		}
		f.byNamespace[key] = p
		f.providers = append(f.providers, p)
	}
}

// SetDeployments sets the deployment engine, which needs the Front to be made.
// It must not be called once requests are served.
func (f *Front) SetDeployments(d Deployments) { f.deployments = d }

// Providers lists the providers in the order they were registered.
func (f *Front) Providers() []provider.Provider { return f.providers }

var (
	_ http.Handler         = (*Front)(nil)
	_ provider.Dispatcher  = (*Front)(nil)
	_ provider.Preflighter = (*Front)(nil)
)
