package cluster

import (
	"context"
	"encoding/json"
	"io"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
)

// Service is the whole of what [Runtime] does for others, in one place to
// read; consumers declare the few methods they call. Parameter id is always a
// cluster id, database and table are names. Errors: catalog.ErrNotFound,
// catalog.ErrExists, [ErrNotRunning] and [*SuspendedError], [ErrSchema],
// [ErrEngine], [*QueryError], context errors.
type Service interface {
	Lifecycle
	Databases
	Data
}

// Lifecycle is what the resource provider calls.
type Lifecycle interface {
	// Create records a cluster and makes its key, inside the caller's
	// transaction. The cluster is Stopped until Start.
	Create(ctx context.Context, tx store.Tx, c Spec) error
	// Start unlocks the key and brings the cluster up; when the key is away it
	// returns the refusal and leaves the cluster as it was.
	Start(ctx context.Context, id string) error
	// Stop ends running queries, wipes the keys and records the user's wish.
	Stop(ctx context.Context, id string) error
	// Delete removes the cluster, its keys and its files. It never needs the key.
	Delete(ctx context.Context, id string) error
	// State says what the cluster is doing; catalog.ErrNotFound for an unknown id.
	State(ctx context.Context, id string) (State, error)
	// ChangeKEK puts the cluster key under another KEK. It needs the old KEK;
	// on any error the old one stays in force. Works in every phase.
	ChangeKEK(ctx context.Context, id string, kek envelope.KEK) error
	// ChangeDatabaseKEK gives a database a KEK of its own, another one, or, with
	// the platform's, the cluster's again. On any error the old one stays in force.
	// The cluster must run when the first comes or the last goes.
	ChangeDatabaseKEK(ctx context.Context, id, database string, kek envelope.KEK) error
	// DatabaseState says how it stands with a database's own key and its log; works at any time.
	DatabaseState(ctx context.Context, id, database string) (DatabaseState, error)
	// ProbeNow probes the key, or tries to resume, without waiting for the interval.
	ProbeNow(id string)
	// HintVault does so for every cluster whose KEK lies in the vault of this host.
	HintVault(host string)
	// StartAll is called once, when the vaults this process serves answer.
	StartAll(ctx context.Context) error
	// Spec is what the cluster was made from.
	Spec(ctx context.Context, id string) (Spec, error)
	// ByHost finds the cluster of a host name of the data plane, "demo.westeurope.kusto.windows.net"
	// with or without "ingest-"; ByName finds it by "demo".
	ByHost(host string) (id string, ok bool)
	ByName(name string) (id string, ok bool)
}

// Databases is the catalogue. Databases can be listed, made and dropped
// without the key only as said; tables and policies need a running cluster.
type Databases interface {
	// CreateDatabase makes a database and its key; the cluster must run.
	CreateDatabase(ctx context.Context, id string, db catalog.Database) error
	// UpdateDatabase replaces SoftDelete and HotCache; works at any time.
	UpdateDatabase(ctx context.Context, id string, db catalog.Database) error
	// DeleteDatabase drops it with its tables and files; works at any time.
	DeleteDatabase(ctx context.Context, id, name string) error
	// Databases lists them by name, Database gives one; both work at any time.
	Databases(ctx context.Context, id string) ([]catalog.Database, error)
	Database(ctx context.Context, id, name string) (catalog.Database, error)

	// CreateTable makes a table; the catalogue gives ids to it and its columns.
	CreateTable(ctx context.Context, id, database string, t catalog.Table) (catalog.Table, error)
	// AlterTable replaces columns, folder and doc string. A column with id 0 is
	// new; one that is left out is dropped; a type cannot change (catalog.ErrTypeChange).
	AlterTable(ctx context.Context, id, database string, t catalog.Table) (catalog.Table, error)
	DropTable(ctx context.Context, id, database, table string) error
	Tables(ctx context.Context, id, database string) ([]catalog.Table, error)
	Table(ctx context.Context, id, database, table string) (catalog.Table, error)
	TableStats(ctx context.Context, id, database, table string) (catalog.TableStats, error)

	// TablePolicy gives one policy body, catalog.ErrNotFound when never set.
	// An empty table name means the database's own policy.
	TablePolicy(ctx context.Context, id, database, table string, kind catalog.PolicyKind) (json.RawMessage, error)
	// SetTablePolicy replaces it; nil deletes it.
	SetTablePolicy(ctx context.Context, id, database, table string, kind catalog.PolicyKind, body json.RawMessage) error

	// PutGrant and DeleteGrant change the data-plane grants inside the caller's
	// transaction; Grants lists them. They work at any time.
	PutGrant(tx store.Tx, id string, g catalog.Grant) error
	DeleteGrant(tx store.Tx, id, grantID string) error
	Grants(ctx context.Context, id string) ([]catalog.Grant, error)
}

// Data is what the data plane calls on a running cluster.
type Data interface {
	// Query starts a statement and returns its rows as they come.
	Query(ctx context.Context, id string, q Query) (engine.Rows, error)
	// Ingest appends a batch whose schema is the table's Schema. When it
	// returns nil the rows are durable and every later query sees them.
	Ingest(ctx context.Context, id, database, table string, batch arrow.RecordBatch) error
	// IngestParquet reads a Parquet file of size bytes and makes an extent of
	// it; columns maps the table's column names to the file's. A column that
	// is not mapped is null. It returns the number of rows.
	IngestParquet(ctx context.Context, id, database, table string, file io.Reader, size int64, columns map[string]string) (int64, error)
	// IngestQuery makes an extent of a query's result. The query's output
	// columns are taken by position and must have the table's storage types.
	IngestQuery(ctx context.Context, id, database, table string, q Query) (int64, error)
}
