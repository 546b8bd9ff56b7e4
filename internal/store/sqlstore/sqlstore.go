package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/kustos-io/kustos/internal/store"
)

var errClosed = errors.New("store is closed")

type sqlStore struct {
	write, read *sql.DB

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup // transactions; Add only while mu is held and closed is false
}

func newStore(write, read *sql.DB) *sqlStore { return &sqlStore{write: write, read: read} }

func (s *sqlStore) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	s.running.Add(1)
	return nil
}

func (s *sqlStore) View(ctx context.Context, fn func(store.Tx) error) error {
	return s.run(ctx, s.read, false, fn)
}

func (s *sqlStore) Update(ctx context.Context, fn func(store.Tx) error) error {
	return s.run(ctx, s.write, true, fn)
}

func (s *sqlStore) run(ctx context.Context, db *sql.DB, writable bool, fn func(store.Tx) error) (err error) {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.running.Done()
	defer func() { err = noRoom(err) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit this is a no-op; also runs when fn panics
	if !writable {
		// a deferred transaction has no snapshot until its first read
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM entries LIMIT 1)").Scan(&n); err != nil {
			return fmt.Errorf("take snapshot: %w", err)
		}
		return fn(&sqlTx{ctx, tx, false})
	}
	if err := fn(&sqlTx{ctx, tx, true}); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit transaction: %w", err)
	}
	return nil
}

func (s *sqlStore) Close() error {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	s.mu.Unlock()
	s.running.Wait()
	if already {
		return nil
	}
	// the writer last: the last connection folds the WAL into the file
	return errors.Join(s.read.Close(), s.write.Close())
}

type sqlTx struct {
	ctx      context.Context // of the View or Update that made it; a Tx does not outlive it
	tx       *sql.Tx
	writable bool
}

// blob is never nil: the driver stores a nil slice as NULL.
func blob(s string) []byte { return append([]byte{}, s...) }

func (t *sqlTx) Get(bucket, key string) ([]byte, error) {
	var value []byte
	err := t.tx.QueryRowContext(t.ctx, "SELECT value FROM entries WHERE bucket = ? AND key = ?", blob(bucket), blob(key)).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, store.ErrNotFound
	} else if err != nil {
		return nil, fmt.Errorf("get %s/%s: %w", bucket, key, err)
	}
	return value, nil
}

func (t *sqlTx) mustWrite() {
	if !t.writable {
		panic("BUG: write in a View transaction")
	}
}

func (t *sqlTx) Put(bucket, key string, value []byte) error {
	t.mustWrite()
	if value == nil {
		value = []byte{}
	}
	const upsert = "INSERT INTO entries (bucket, key, value) VALUES (?, ?, ?) ON CONFLICT (bucket, key) DO UPDATE SET value = excluded.value"
	if _, err := t.tx.ExecContext(t.ctx, upsert, blob(bucket), blob(key), value); err != nil {
		return fmt.Errorf("put %s/%s: %w", bucket, key, err)
	}
	return nil
}

func (t *sqlTx) Delete(bucket, key string) error {
	t.mustWrite()
	result, err := t.tx.ExecContext(t.ctx, "DELETE FROM entries WHERE bucket = ? AND key = ?", blob(bucket), blob(key))
	if err != nil {
		return fmt.Errorf("delete %s/%s: %w", bucket, key, err)
	}
	if n, err := result.RowsAffected(); err != nil {
		return fmt.Errorf("delete %s/%s: %w", bucket, key, err)
	} else if n == 0 {
		return store.ErrNotFound
	}
	return nil
}

// scanPage is how many entries one statement reads: no statement stays open
// while the caller looks at entries, so it may use the transaction meanwhile.
const scanPage = 256

func (t *sqlTx) Scan(bucket, prefix, after string) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		// keys under the prefix are >= prefix and < end; after is exclusive
		low, op := prefix, ">="
		if after >= prefix {
			low, op = after, ">"
		}
		end, bounded := prefixEnd(prefix)
		for {
			page, err := t.page(bucket, op, low, end, bounded)
			if err != nil {
				yield(store.Entry{}, fmt.Errorf("scan %s/%s: %w", bucket, prefix, err))
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			if len(page) < scanPage {
				return
			}
			low, op = page[len(page)-1].Key, ">"
		}
	}
}

func (t *sqlTx) page(bucket, op, low, end string, bounded bool) (page []store.Entry, err error) {
	query := "SELECT key, value FROM entries WHERE bucket = ? AND key " + op + " ?"
	args := []any{blob(bucket), blob(low)}
	if bounded {
		query += " AND key < ?"
		args = append(args, blob(end))
	}
	rows, err := t.tx.QueryContext(t.ctx, query+" ORDER BY key LIMIT ?", append(args, scanPage)...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var key, value []byte
		if err := rows.Scan(&key, &value); err != nil {
			return nil, err
		}
		page = append(page, store.Entry{Key: string(key), Value: value})
	}
	return page, rows.Err()
}

// prefixEnd is the smallest string greater than every string with the prefix;
// there is none when the prefix is empty or all 0xff.
func prefixEnd(prefix string) (end string, ok bool) {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return string(b[:i+1]), true
		}
	}
	return "", false
}
