package cluster

import (
	"errors"
	"fmt"
	"time"

	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/extent"
	"github.com/kustos-io/kustos/internal/kql/branch"
)

// Spec is what a cluster is made from.
type Spec struct {
	ID       string // GUID in lower case
	Name     string // "demo"
	Location string // normalised region name: "westeurope"
	URI      string // "https://demo.westeurope.kusto.windows.net"
	// DoubleEncryption: data is encrypted in two layers, the second under the
	// platform's KEK. It cannot be changed.
	DoubleEncryption bool
}

// Phase says what a cluster is doing.
type Phase string

// The phases. A user stops and starts a cluster (Stopped, Starting, Running);
// Suspended is a cluster whose key is away: it resumes by itself.
const (
	Running   Phase = "Running"
	Starting  Phase = "Starting"
	Stopped   Phase = "Stopped"
	Suspended Phase = "Suspended"
)

// State is what a cluster is doing and why.
type State struct {
	Phase Phase
	// Reason is a sentence that says why a cluster does not run that should,
	// why its key gives cause for worry, or which of its databases are closed
	// because their log is damaged; "" when all is well.
	Reason   string
	Code     string // of the refusal that suspended it, "" otherwise
	VaultURI string // of the refusal that suspended it, "" otherwise
	KEK      envelope.KEK
	// Key says how it stands with the key, whatever the user wishes.
	Key envelope.KeyState
	// KeyVersion is the version of the KEK that wrapped the cluster key.
	KeyVersion string
	// Since is when the phase began.
	Since time.Time
	// Confinement says which walls stand around the engine child; zero when
	// there is none.
	Confinement engine.Confinement
	// Hot is what the hot tier holds; zero when there is none.
	Hot HotState
}

// DatabaseState says how it stands with one database: with its key, and with
// its log while the cluster runs.
type DatabaseState struct {
	// Damage says that the database does not answer because its log is damaged,
	// nil otherwise. While its own key is away nobody knows.
	Damage *LogError
	// Own is false when the database follows the cluster's key; the rest but Key is zero then.
	Own        bool
	KEK        envelope.KEK
	KeyVersion string // of the KEK, that wrapped
	Key        envelope.KeyState
	// Suspended says that the database does not answer because of its own key, since when.
	Suspended bool
	Since     time.Time
	// Reason is a sentence that says why it is suspended, or why its key gives
	// cause for worry; "" when all is well.
	Reason   string
	Code     string // of the refusal that suspended it, "" otherwise
	VaultURI string // of the refusal that suspended it, "" otherwise
}

// ErrNotRunning says that the cluster is stopped or starting.
var ErrNotRunning = errors.New("cluster is not running")

// SuspendedError says that the cluster's key is away, or a database's own. It
// is ErrNotRunning to errors.Is.
type SuspendedError struct {
	Database string // the name of the one that is suspended, "" when it is the cluster
	Code     string // the code of the refusal: "KeyNotFound", "IdentityDoesNotHaveAccessToKeyVault" …
	VaultURI string
	Reason   string // a sentence for people
}

func (e *SuspendedError) Error() string {
	if e.Database != "" {
		return fmt.Sprintf("database %s is suspended: %s (%s, %s)", e.Database, e.Reason, e.Code, e.VaultURI)
	}
	return fmt.Sprintf("cluster is suspended: %s (%s, %s)", e.Reason, e.Code, e.VaultURI)
}

// Is makes errors.Is(err, ErrNotRunning) true.
func (e *SuspendedError) Is(target error) bool { return target == ErrNotRunning }

// ErrEngine says that the engine child died or could not be started; the
// request may be sent again.
var ErrEngine = errors.New("query engine is not available")

// ErrSchema says that a batch or an import does not fit the table's columns.
var ErrSchema = errors.New("data does not fit the table")

// QueryError is the engine's refusal of a statement it was given: an overflow,
// a failed cast, memory that ran out. Message holds no literal of the query.
type QueryError struct {
	Message string
	Kind    engine.Kind
	Memory  bool // the memory limit was reached
}

func (e *QueryError) Error() string { return "query: " + e.Message }

// ExtentError says that one extent cannot be read: its file is gone, damaged or
// not under the key it should be. Other extents are not concerned.
type ExtentError struct {
	ID string
	// Offset is where in the file the damaged chunk begins; 0, where the header
	// is, when the damage is not that of one chunk.
	Offset int64
	Cause  error
}

func extentError(id string, cause error) *ExtentError {
	e := &ExtentError{ID: id, Cause: cause}
	var chunk *extent.ChunkError
	if errors.As(cause, &chunk) {
		e.Offset = chunk.Offset
	}
	return e
}

func (e *ExtentError) Error() string { return fmt.Sprintf("extent %s: %v", e.ID, e.Cause) }

// Unwrap is Cause.
func (e *ExtentError) Unwrap() error { return e.Cause }

// LogError says that a database is closed because its log is damaged: a segment
// is missing or cannot be read. Other databases are not concerned.
type LogError struct {
	Database string    // name
	Since    time.Time // when it was noticed
	// Segment is the id of the first segment that cannot be read.
	Segment string
	// Offset is where in its file the damaged frame begins; 0, where the header
	// is, when the damage is not that of one frame.
	Offset int64
	Cause  error
}

func (e *LogError) Error() string { return e.Summary() + ": " + e.Cause.Error() }

// Unwrap is Cause.
func (e *LogError) Unwrap() error { return e.Cause }

// Summary is a sentence without the cause, which may name files.
func (e *LogError) Summary() string {
	text := fmt.Sprintf("database %s is closed because its log is damaged: segment %s cannot be read", e.Database, e.Segment)
	if e.Offset > 0 {
		text += fmt.Sprintf(" at offset %d", e.Offset)
	}
	return text
}

// Query is one statement for the engine.
type Query struct {
	// Database is the database the query runs in; it must exist.
	Database string
	// SQL is what the compiler wrote: never a user's text.
	SQL string
	// Params are bound to $1…: nil, bool, int, int32, int64, float64 or string.
	Params []any
	// Tables says what stands behind each placeholder of SQL.
	Tables []TableRef
}

// TableRef puts a table in the place of a placeholder. The placeholder becomes
// a FROM item that yields the table's physical columns.
type TableRef struct {
	Placeholder string // as it stands in SQL: "{{table:0}}"
	TableID     string // catalog.Table.ID; a table of any database of the cluster
	// Branches are pieces of SQL that are repeated for each part of the table.
	Branches []branch.Branch
	// Prune leaves out extents that cannot hold a wanted row. Every range must
	// be implied by the query; rows outside may still come.
	Prune []Range
}

// Range says that only rows with Min <= column <= Max are wanted, for a column
// stored as BIGINT.
type Range struct {
	Column   string // physical name: "c1"
	Min, Max int64
}
