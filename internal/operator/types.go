package operator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/kustos-io/kustos/internal/audit"
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
	AuditTail(ctx context.Context, filter audit.Filter, n int) ([]audit.Event, error)
	AuditVerify(ctx context.Context) (audit.Report, error)
}
