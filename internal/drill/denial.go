package drill

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/kustos-io/kustos/internal/client"
)

// deny takes the key away and insists on everything that must follow: denial
// within the bound, the true reason in Resource Manager, refused ingestion, no
// engine child.
func (s *scene) deny(ctx context.Context, cause string, do func() error) error {
	before, after, err := s.act(cause, do)
	if err != nil {
		return err
	}
	at, detail, err := s.watch.await(ctx, before, Refused)
	if err != nil {
		return fmt.Errorf("%s: %w", cause, err)
	}
	s.event(at, Seen, "questions are refused", detail)
	if err := s.measure("time to denial: "+cause, at.Sub(after), s.bound()); err != nil {
		return err
	}
	state, reason, err := s.state(ctx)
	if err != nil {
		return err
	}
	if state != "Stopped" || reason == "" {
		return fmt.Errorf("%s: the cluster is %s, with the reason %q", cause, state, reason)
	}
	s.seen("the cluster is "+state, reason)
	if err := s.refusesRows(ctx); err != nil {
		return fmt.Errorf("%s: %w", cause, err)
	}
	return s.childGone(ctx)
}

// refusesRows tries to ingest.
func (s *scene) refusesRows(ctx context.Context) error {
	_, err := s.az.Query(ctx, s.uri, database, ".ingest inline into table Ledger <| 0,must not stay")
	var refused *client.RefusedError
	if !errors.As(err, &refused) || refused.Status != http.StatusPreconditionFailed {
		return fmt.Errorf("a row was not refused with 412: %w", err)
	}
	s.seen("a new row is refused, not acknowledged", fmt.Sprintf("HTTP %d", refused.Status))
	return nil
}

// childGone waits a moment for the end of the engine child, which held rows in
// memory.
func (s *scene) childGone(ctx context.Context) error {
	limit := time.After(2 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		n, err := s.engines()
		if err != nil {
			return err
		}
		if n == 0 {
			s.seen("the engine child is gone", "no process of the server but itself")
			return nil
		}
		select {
		case <-tick.C:
		case <-limit:
			return fmt.Errorf("%d engine children live on after the denial", n)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// restore gives the key back and waits for the same answer as before.
func (s *scene) restore(ctx context.Context, how string, do func() error) error {
	before, after, err := s.act(how, do)
	if err != nil {
		return err
	}
	at, _, err := s.watch.await(ctx, before, Answered)
	if err != nil {
		return fmt.Errorf("%s: %w", how, err)
	}
	s.event(at, Seen, "the same question has the same answer", s.answer)
	return s.measure("time to restore: "+how, at.Sub(after), s.bound()+2*time.Second) // the engine starts anew and reads the log
}

// pause waits for d.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
