package operator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/fsck/report"
)

// SocketName is the socket's name in the data folder.
const SocketName = "admin.sock"

// Status is what `kustos operator status` prints.
type Status struct {
	InstanceID string `json:"instanceId"`
	Sealed     bool   `json:"sealed"`
	// Seal is what the root key is wrapped by.
	Seal string `json:"seal"`
	// NeedsSecret tells that Unseal wants a passphrase.
	NeedsSecret bool `json:"needsSecret"`
	// DataKeys are the numbers of the barrier's data keys, none while sealed; the
	// last one seals.
	DataKeys []uint32 `json:"dataKeys"`
	// MemoryLocked tells that no page of the server can be swapped out.
	MemoryLocked bool `json:"memoryLocked"`
	PID          int  `json:"pid"`
}

// Secret is a passphrase on its way; it prints as REDACTED.
type Secret []byte

// Format keeps the secret out of logs and errors.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "REDACTED") }

// LogValue is Format for structured logs.
func (Secret) LogValue() slog.Value { return slog.StringValue("REDACTED") }

// Identity is how a process speaks as a user-assigned identity.
type Identity struct {
	ResourceID string `json:"resourceId"`
	TenantID   string `json:"tenantId"`
	ClientID   string `json:"clientId"`
	ObjectID   string `json:"objectId"`
	// Secret is the identity's own; it is printed to the operator who asked and
	// to nobody else.
	Secret string `json:"secret"`
	// Proxy is HTTP_PROXY for the instance metadata endpoint, with the identity in it.
	Proxy string `json:"proxy"`
	// Endpoint and Header are IDENTITY_ENDPOINT and IDENTITY_HEADER.
	Endpoint string `json:"endpoint"`
	Header   string `json:"header"`
}

// Format keeps the secret out of logs and errors.
func (Identity) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "REDACTED") }

// LogValue is Format for structured logs.
func (Identity) LogValue() slog.Value { return slog.StringValue("REDACTED") }

// NewUser is a person to make.
type NewUser struct {
	// Tenant is the id, domain or name of the person's tenant; "" means the first one.
	Tenant string
	// Name is the user principal name, or the part before the @.
	Name, DisplayName string
	// Owner makes the person Owner of the tenant's first subscription.
	Owner    bool
	Password Secret
}

// Tenant is a tenant that was made, with its first subscription and its first
// principal. The principal's secret is in connection.json alone.
type Tenant struct {
	ID             string `json:"tenantId"`
	Name           string `json:"tenantName"`
	Domain         string `json:"tenantDomain"`
	SubscriptionID string `json:"subscriptionId"`
	ClientID       string `json:"clientId"`
	ObjectID       string `json:"objectId"`
}

// FsckStep is some of a verification.
type FsckStep struct {
	Report report.Report `json:"report"`
	Next   string        `json:"next"` // where to go on, "" at the end
}

// User is a person that was made.
type User struct {
	ObjectID string `json:"objectId"`
	UPN      string `json:"userPrincipalName"`
}

// Errors of a Backend that callers decide on.
var (
	ErrSealed    = errors.New("the server is sealed")
	ErrNotSealed = errors.New("the server is not sealed")
)

// Backend is the server as its operator sees it. Seal returns when nothing
// answers any more and the keys are wiped, Unseal when everything answers.
// Secrets are the callee's to wipe.
type Backend interface {
	Status(ctx context.Context) (Status, error)
	Seal(ctx context.Context) error
	Unseal(ctx context.Context, secret Secret) error
	// Rekey makes a new root key under the seal of spec; "" keeps the seal.
	Rekey(ctx context.Context, spec string, secret Secret) error
	// Rotate makes a new data key and returns its number.
	Rotate(ctx context.Context) (uint32, error)
	// Identity tells how to speak as the user-assigned identity with this ARM id.
	Identity(ctx context.Context, resourceID string) (Identity, error)
	// CreateTenant makes a tenant and serves it; a domain of "" is made of the name.
	CreateTenant(ctx context.Context, name, domain string) (Tenant, error)
	// CreateUser makes a person.
	CreateUser(ctx context.Context, u NewUser) (User, error)
	// RotateSigningKey makes a new token signing key of a tenant, the first one
	// when tenant is "", and returns its id.
	RotateSigningKey(ctx context.Context, tenant string) (string, error)
	AuditTail(ctx context.Context, filter audit.Filter, n int) ([]audit.Event, error)
	AuditVerify(ctx context.Context) (audit.Report, error)
	// Fsck verifies some of what is on disk, from after on; "" begins.
	Fsck(ctx context.Context, after string) (FsckStep, error)
}
