package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kustos-io/kustos/internal/durable"
)

// Snapshot writes the state of the store at path, as it is at one moment, to
// the new file to. It needs no key, and the store may be in use by another
// process. Values stay as they are: sealed.
func Snapshot(ctx context.Context, path, to string) error {
	db, err := existing(path)
	if err != nil {
		return fmt.Errorf("snapshot of store: %w", err)
	}
	defer db.Close()
	if err := touch(to); err != nil { // with our mode; VACUUM INTO takes an empty file
		return fmt.Errorf("snapshot of store: %w", err)
	}
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return fmt.Errorf("snapshot of store: %w", err)
	}
	f, err := os.Open(to)
	if err != nil {
		return fmt.Errorf("snapshot of store: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close(), durable.SyncDir(filepath.Dir(to))); err != nil {
		return fmt.Errorf("snapshot of store: %w", err)
	}
	return nil
}

func existing(path string) (*sql.DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	return sql.Open("sqlite", dsn(path, "deferred"))
}

// Check verifies the structure of the store at path and gives every entry to
// fn, in the order of buckets and keys; it needs no key and changes nothing.
// problems is what the database says of itself.
func Check(ctx context.Context, path string, fn func(bucket, key string, value []byte) error) (problems []string, err error) {
	db, err := existing(path)
	if err != nil {
		return nil, fmt.Errorf("check store: %w", err)
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, "PRAGMA integrity_check")
	if err != nil {
		return nil, fmt.Errorf("check store: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return nil, fmt.Errorf("check store: %w", err)
		}
		if line != "ok" {
			problems = append(problems, line)
		}
	}
	if err := rows.Err(); err != nil {
		return problems, fmt.Errorf("check store: %w", err)
	}
	entries, err := db.QueryContext(ctx, "SELECT bucket, key, value FROM entries ORDER BY bucket, key")
	if err != nil {
		return problems, fmt.Errorf("check store: %w", err)
	}
	defer entries.Close()
	for entries.Next() {
		var bucket, key, value []byte
		if err := entries.Scan(&bucket, &key, &value); err != nil {
			return problems, fmt.Errorf("check store: %w", err)
		}
		if err := fn(string(bucket), string(key), value); err != nil {
			return problems, err
		}
	}
	return problems, entries.Err()
}
