package drill

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/client"
)

func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mode atomic.Int32
		began := time.Now()
		w := newWatch(t.Context(), nil, "right", func(context.Context, *client.Client) (string, error) {
			switch mode.Load() {
			case 1:
				return "", &client.RefusedError{Status: 412, Message: "away\nmore"}
			case 2:
				return "", errors.New("connection refused")
			}
			return "right", nil
		})
		time.Sleep(99 * time.Millisecond) // the bubble's clock
		if n, err := w.during(began, Answered); err != nil || n != 5 {
			t.Errorf("%d questions, %v", n, err)
		}
		if _, err := w.during(time.Now(), Answered); err == nil {
			t.Error("no question passes for an answered one")
		}
		mode.Store(1)
		since := time.Now()
		at, detail, err := w.await(t.Context(), since, Refused)
		if err != nil || at.Sub(since) != time.Millisecond || detail != "HTTP 412 away" {
			t.Errorf("after %s: %q, %v", at.Sub(since), detail, err)
		}
		if _, err := w.during(began, Answered); err == nil {
			t.Error("a refusal goes unnoticed")
		}
		mode.Store(2)
		if _, _, err := w.await(t.Context(), time.Now(), Silent); err != nil {
			t.Error(err)
		}
		if _, _, err := w.await(t.Context(), time.Now(), Answered); err == nil {
			t.Error("waited for ever")
		}
		mode.Store(0)
		time.Sleep(50 * time.Millisecond)
		spans, _, err := w.end(began)
		if err != nil {
			t.Fatal(err)
		}
		var seen []string
		for _, s := range spans {
			seen = append(seen, s.Outcome)
		}
		if d := cmp.Diff([]string{Answered, Refused, Silent, Answered}, seen); d != "" {
			t.Error(d)
		}
	})
}

func TestWatchNoticesWrongAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(t.Context(), nil, "right", func(context.Context, *client.Client) (string, error) { return "wrong", nil })
		time.Sleep(time.Millisecond)
		if _, _, err := w.end(time.Now()); err == nil {
			t.Error("a wrong answer goes unnoticed")
		}
	})
}
