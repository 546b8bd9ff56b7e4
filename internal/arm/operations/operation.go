package operations

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
)

// The states of an operation. All but Running are terminal.
const (
	Running   = "Running"
	Succeeded = "Succeeded"
	Failed    = "Failed"
	Canceled  = "Canceled"
)

// ErrCanceled ends an operation as Canceled when a runner returns it, and is
// the cause of a runner's context after [Manager.Cancel].
var ErrCanceled = errors.New("operation was canceled")

// ErrNotFound is returned for an operation id that is not stored.
var ErrNotFound = errors.New("operation not found")

// Operation is one piece of long-running work and, later, how it ended.
type Operation struct {
	// ID is a GUID unless the caller of Start chose something else; compared as written.
	ID string
	// Kind names the registered runner ("ClusterCreateExternal").
	Kind string
	// Provider is the namespace that started it, ResourceID what it works on.
	Provider   string
	ResourceID string
	Location   string
	// Status is Running, Succeeded, Failed or Canceled.
	Status string
	// Start is when it was recorded; End is the time of the last update, and of
	// the end once Status is terminal.
	Start, End time.Time
	// Percent is a fraction between 0 and 1.
	Percent float64
	// Error is set exactly when Status is Failed or Canceled.
	Error *azerr.Error
	// Payload is the runner's input, and Result what it returned; both JSON.
	Payload json.RawMessage
	Result  json.RawMessage
	// Principal is who asked for the work.
	Principal  authz.Principal
	APIVersion string
	// CancelAsked is set by Cancel and survives a restart.
	CancelAsked bool
}

// Done reports whether the state is terminal.
func (op Operation) Done() bool { return op.Status != Running }

// record is the stored form: the JSON of an azerr.Error has no HTTP status,
// because on the wire the status line carries it.
type record struct {
	Operation
	ErrorStatus int `json:",omitempty"`
}

func toRecord(op Operation) record {
	r := record{Operation: op}
	if op.Error != nil {
		r.ErrorStatus = op.Error.Status
	}
	return r
}

func (r record) operation() Operation {
	if r.Operation.Error != nil && r.ErrorStatus != 0 {
		r.Operation.Error.Status = r.ErrorStatus
	}
	return r.Operation
}

// Headers sets the headers of a first asynchronous answer on h. The URLs must
// be absolute; an empty one is left out, and so is a negative retryAfter
// (seconds).
func Headers(h http.Header, asyncURL, locationURL string, retryAfter int) {
	if asyncURL != "" {
		h.Set("Azure-AsyncOperation", asyncURL)
	}
	if locationURL != "" {
		h.Set("Location", locationURL)
	}
	if retryAfter >= 0 {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
}
