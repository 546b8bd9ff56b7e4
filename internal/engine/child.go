package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// ErrGone says that the child ended (it crashed or was killed) before it
// answered; whether the command was carried out is unknown.
var ErrGone = errors.New("engine child is gone")

// Config is what a child starts with.
type Config struct {
	// MemoryLimit is the most bytes DuckDB may use; 0 means 1 GiB. The bytes of
	// memfds are not part of it.
	MemoryLimit int64
	// Threads is the number of DuckDB's threads; 0 means one for each processor.
	Threads int
	// HotBytes is how much the tables of [Child].Load may take; it comes on top
	// of MemoryLimit. 0 means that there are none.
	HotBytes int64
	// MaxFile is the largest file in bytes the child may write into a memfd; 0 means 8 GiB.
	MaxFile int64
	// MaxOpen is the number of descriptors the child may hold, as far as the
	// system allows so many; 0 means 65536.
	MaxOpen int
	// Prelude are statements (macros) run before the settings are locked.
	Prelude []string
	// RequireConfinement refuses to start when a wall is missing, except the
	// user of its own, which only root can give.
	RequireConfinement bool
}

// Column is a column of a buffer: the physical name and the SQL type.
type Column struct {
	Name    string
	Type    string
	NotNull bool // only for VARCHAR
}

// Statement is SQL with its parameters. In SQL an extent stands as
// '{{extent:<id>}}' where a file name goes; every one must be listed in Extents.
type Statement struct {
	SQL     string
	Params  []any // nil, bool, int, int32, int64, float64 or string
	Extents []string
}

// Import says how to read a foreign Parquet file into a table's columns.
type Import struct {
	Columns []ImportColumn
}

// ImportColumn is one column to make. Source is the column of the file, ""
// for a null column.
type ImportColumn struct {
	Name   string // physical name
	Type   string // KQL type name
	Source string
}

// Child is one running engine process. It is safe for concurrent use. After
// the process has ended every method returns an error that is [ErrGone]. A
// refusal of a statement is a [*Fault].
type Child interface {
	// OpenExtent hands over a memfd that holds a Parquet file; the child reads
	// it under the id until CloseExtent. The caller keeps its own descriptor.
	OpenExtent(ctx context.Context, id string, data *os.File) error
	// OpenSparse is OpenExtent for an extent that is decrypted as it is read.
	// filled hears after each request of the child that was met; it may evict.
	OpenSparse(ctx context.Context, id string, s *Sparse, filled func(first, last int64)) error
	// CloseExtent forgets an extent, at once or when the last statement that
	// uses it has ended.
	CloseExtent(ctx context.Context, id string) error

	// CreateBuffer makes an empty in-memory table.
	CreateBuffer(ctx context.Context, name string, columns []Column) error
	// Append adds the rows of one or more Arrow IPC streams, one after the other
	// in the same bytes, to a buffer: all of them or none. Columns are taken by name; one the stream lacks becomes null, or ''
	// where the buffer's column has no null; one the buffer lacks is left out.
	Append(ctx context.Context, name string, streams []byte) error
	// DropBuffer removes a buffer; running statements still see it.
	DropBuffer(ctx context.Context, name string) error

	// Load adds a statement's rows to a compressed in-memory table, which is made
	// when it is not there; SQL names it by [HotTable]. The rows go in piece by
	// piece, and while queries run it holds back. Only one Load runs at a time.
	// When the table grows by more than most bytes the refusal is [OutOfMemory].
	// After an error the table holds some of the rows and is to be unloaded.
	Load(ctx context.Context, name string, columns []Column, s Statement, most int64) (Loaded, error)
	// Unload drops such a table, if it is there; running statements still see it.
	Unload(ctx context.Context, name string) error

	// Query starts a statement. When ctx ends the statement is interrupted.
	Query(ctx context.Context, s Statement) (Rows, error)
	// Export writes a statement's result as Parquet into out, an empty memfd,
	// and returns the number of rows.
	Export(ctx context.Context, s Statement, out *os.File) (int64, error)
	// Import converts the Parquet file in to the columns asked for, writes
	// Parquet into out, an empty memfd, and returns the number of rows.
	Import(ctx context.Context, in *os.File, spec Import, out *os.File) (int64, error)

	// Ping returns when the child has answered.
	Ping(ctx context.Context) error
	// Info says what the child reported at its start.
	Info() Info
	// Done is closed when the process has ended and was waited for.
	Done() <-chan struct{}
	// Close kills the process and waits for its end.
	Close() error
}

// Loaded is what one Load added. Bytes are the engine's figure for all tables
// before and after: what came into a buffer meanwhile counts too.
type Loaded struct{ Rows, Bytes int64 }

// HotTable is how SQL names a table that was loaded. Each is a database of its
// own: what goes wrong with one is no matter of the others.
func HotTable(name string) string { return name + ".main.hot" }

// Info is what a child reports at its start.
type Info struct {
	PID         int
	Version     string // DuckDB's version
	Confinement Confinement
	// DecryptOnRead says that OpenSparse works: it was tried at the start. When
	// it does not, extents have to be handed over whole.
	DecryptOnRead bool
	// MaxExtents is how many extents may be open at a time; 0 when the child
	// knows no limit. One more is refused with [TooMany].
	MaxExtents int
}

// Confinement says which walls stand around a child.
type Confinement struct {
	Landlock    bool // no files but the few DuckDB reads of /proc and /sys
	LandlockABI int
	Seccomp     bool // only the system calls that answering queries needs
	NoNewPrivs  bool
	Limits      bool // no core dumps, no locked memory, bounded files and descriptors
	NotDumpable bool // other processes of the same user cannot read its memory
	OwnUser     bool // runs under a user id that owns nothing
	Missing     []string
}

// Complete says whether every wall stands that needs no privilege to raise.
func (c Confinement) Complete() bool {
	return c.Landlock && c.Seccomp && c.NoNewPrivs && c.Limits && c.NotDumpable
}

// Kind groups the refusals of an engine by what a caller can do about them.
type Kind string

// The kinds of [Fault].
const (
	Overflow    Kind = "overflow"    // a number does not fit its type
	Conversion  Kind = "conversion"  // a value cannot be converted
	OutOfMemory Kind = "memory"      // the memory limit was reached
	Interrupted Kind = "interrupted" // the statement was cancelled
	BadData     Kind = "data"        // a file or batch cannot be read or does not fit
	BadCommand  Kind = "command"     // an unknown extent or buffer, a malformed request
	TooMany     Kind = "extents"     // more extents than may be open at a time
	Internal    Kind = "internal"    // anything else: the compiler's or the engine's mistake
)

// Fault is the engine's refusal. Message holds no value of a row and no
// literal: what the engine quotes is cut out in the child.
type Fault struct {
	Kind    Kind
	Message string
}

func (f *Fault) Error() string { return fmt.Sprintf("engine: %s: %s", f.Kind, f.Message) }
