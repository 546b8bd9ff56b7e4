package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/kustos-io/kustos/internal/store"
)

const (
	headBucket = "audit.head"
	headKey    = "1"
)

// Head is the newest link of the chain that the store knows of. It is written
// after the frame is durable, so that files may be ahead of it by what was
// written last, and are never behind it unless something was taken away.
type Head struct {
	Format int    `json:"format"`
	Frames uint64 `json:"frames"` // number of the newest frame, from 1
	Events uint64 `json:"events"` // sequence number of the newest event
	Link   link   `json:"link"`
}

const headFormat = 1

// ReadHead reads the head from the sealed store; the zero Head before the
// first event.
func ReadHead(ctx context.Context, s store.Store) (Head, error) {
	var h Head
	err := s.View(ctx, func(tx store.Tx) (err error) {
		h, err = store.GetJSON[Head](tx, headBucket, headKey)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return Head{}, fmt.Errorf("read head of the audit log: %w", err)
	}
	if h.Format > headFormat {
		return Head{}, fmt.Errorf("head of the audit log has format %d, this binary knows up to %d: %w", h.Format, headFormat, ErrNewerFormat)
	}
	return h, nil
}

func writeHead(ctx context.Context, s store.Store, h Head) error {
	h.Format = headFormat
	err := s.Update(ctx, func(tx store.Tx) error { return store.PutJSON(tx, headBucket, headKey, h) })
	if err != nil {
		return fmt.Errorf("write head of the audit log: %w", err)
	}
	return nil
}
