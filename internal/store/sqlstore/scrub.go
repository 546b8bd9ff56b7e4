package sqlstore

import (
	"context"
	"errors"
	"fmt"
)

// Scrub folds the log into the file, where secure_delete has zeroed what was
// replaced or deleted, and truncates the log. A long-running View makes it
// fail; nothing is lost then and it can be called again.
func (s *sqlStore) Scrub(ctx context.Context) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.running.Done()
	var busy, logged, moved int
	if err := s.write.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &logged, &moved); err != nil {
		return fmt.Errorf("truncate store log: %w", err)
	}
	if busy != 0 {
		return errors.New("truncate store log: a reader holds it")
	}
	return nil
}
