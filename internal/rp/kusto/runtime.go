package kusto

import (
	"context"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
)

// Operations persists and runs long work. A run must be idempotent: after a
// restart it is called again with the same operation.
type Operations interface {
	Handle(kind string, run func(ctx context.Context, op *operations.Operation) (any, error))
	Start(tx store.Tx, op operations.Operation) (id string, err error)
	Launch(id string)
	Get(ctx context.Context, id string) (operations.Operation, error)
	Progress(ctx context.Context, op *operations.Operation) error
}

// Runtime is what really happens to clusters; satisfied by *cluster.Runtime,
// whose interface [cluster.Service] says what each method promises.
type Runtime interface {
	Reencryptions
	Create(ctx context.Context, tx store.Tx, c cluster.Spec) error
	Start(ctx context.Context, id string) error
	Stop(ctx context.Context, id string) error
	Delete(ctx context.Context, id string) error
	State(ctx context.Context, id string) (cluster.State, error)
	ChangeKEK(ctx context.Context, id string, kek envelope.KEK) error
	ChangeDatabaseKEK(ctx context.Context, id, database string, kek envelope.KEK) error
	DatabaseState(ctx context.Context, id, database string) (cluster.DatabaseState, error)
	CreateDatabase(ctx context.Context, id string, db catalog.Database) error
	UpdateDatabase(ctx context.Context, id string, db catalog.Database) error
	DeleteDatabase(ctx context.Context, id, name string) error
	Database(ctx context.Context, id, name string) (catalog.Database, error)
	Tables(ctx context.Context, id, database string) ([]catalog.Table, error)
	TableStats(ctx context.Context, id, database, table string) (catalog.TableStats, error)
	PutGrant(tx store.Tx, id string, g catalog.Grant) error
	DeleteGrant(tx store.Tx, id, grantID string) error
	Grants(ctx context.Context, id string) ([]catalog.Grant, error)
}
