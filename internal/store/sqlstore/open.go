package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/kustos-io/kustos/internal/durable"
	"github.com/kustos-io/kustos/internal/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrNewerSchema: the file was written by a newer version.
var ErrNewerSchema = errors.New("written by a newer version of kustos")

// readers is how many idle read connections are kept; more are made when more
// View transactions run at once.
const readers = 4

// Open opens or creates the store at path (mode 0600) and brings its schema up
// to date. A file with a newer schema is refused with ErrNewerSchema.
func Open(ctx context.Context, path string) (store.Store, error) {
	if err := touch(path); err != nil {
		return nil, fmt.Errorf("create store: %w", err)
	}
	// immediate: a writer takes its lock at BEGIN, so it cannot fail later
	// because another process slipped in between
	write, err := sql.Open("sqlite", dsn(path, "immediate"))
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	if err := migrate(ctx, write); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), write.Close())
	}
	read, err := sql.Open("sqlite", dsn(path, "deferred", "query_only(ON)"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), write.Close())
	}
	read.SetMaxIdleConns(readers)
	return newStore(write, read), nil
}

// touch makes the file with our mode before SQLite makes it with its own; the
// -wal and -shm files inherit the mode.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

func dsn(path, txlock string, pragmas ...string) string {
	q := url.Values{"_txlock": {txlock}}
	// busy_timeout first: the others may have to wait for a lock
	q["_pragma"] = append([]string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "secure_delete(ON)", "foreign_keys(ON)"}, pragmas...)
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String()
}

func migrate(ctx context.Context, db *sql.DB) error {
	scripts, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, scripts, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	current, err := provider.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	sources := provider.ListSources()
	if newest := sources[len(sources)-1].Version; current > newest {
		return fmt.Errorf("its schema has version %d, this binary knows up to %d: %w", current, newest, ErrNewerSchema)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate schema: %w", err)
	}
	return nil
}
