package drill

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/kustos-io/kustos/internal/client"
)

const (
	// askPause lies between two questions of the watch.
	askPause = 20 * time.Millisecond
	// patience bounds the waiting for one outcome.
	patience = 30 * time.Second
)

// sample is one question and its outcome.
type sample struct {
	sent, heard     time.Time
	outcome, detail string
}

// watch asks one question again and again, as a client of the cluster would,
// and keeps what it was answered. It is safe for concurrent use.
type watch struct {
	question func(ctx context.Context, c *client.Client) (string, error)
	want     string // the right answer
	stop     context.CancelFunc
	done     chan struct{}

	mu      sync.Mutex
	az      *client.Client
	samples []sample
	wrong   string        // an answer that was not the right one
	heard   chan struct{} // closed at every sample
}

func newWatch(ctx context.Context, az *client.Client, want string, question func(context.Context, *client.Client) (string, error)) *watch {
	ctx, stop := context.WithCancel(ctx)
	w := &watch{question: question, want: want, stop: stop, done: make(chan struct{}), az: az, heard: make(chan struct{})}
	go w.run(ctx)
	return w
}

func (w *watch) run(ctx context.Context) {
	defer close(w.done)
	tick := time.NewTicker(askPause)
	defer tick.Stop()
	for {
		w.ask(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (w *watch) ask(ctx context.Context) {
	w.mu.Lock()
	az := w.az
	w.mu.Unlock()
	s := sample{sent: time.Now(), outcome: Answered}
	got, err := w.question(ctx, az)
	s.heard = time.Now()
	if ctx.Err() != nil {
		return
	}
	var refused *client.RefusedError
	switch {
	case errors.As(err, &refused):
		s.outcome, s.detail = Refused, fmt.Sprintf("HTTP %d %s", refused.Status, firstLine(refused.Message))
	case err != nil:
		s.outcome = Silent
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.outcome == Answered && got != w.want {
		w.wrong = got
	}
	w.samples = append(w.samples, s)
	close(w.heard)
	w.heard = make(chan struct{})
}

// use asks through another client from now on, after a restart.
func (w *watch) use(az *client.Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.az = az
}

// await waits for the first question sent after since that has the outcome,
// and returns when it was answered, with the detail.
func (w *watch) await(ctx context.Context, since time.Time, outcome string) (time.Time, string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		w.mu.Lock()
		heard, last := w.heard, "nothing"
		for _, s := range w.samples {
			if s.sent.Before(since) {
				continue
			}
			if s.outcome == outcome {
				w.mu.Unlock()
				return s.heard, s.detail, nil
			}
			last = s.outcome
		}
		w.mu.Unlock()
		select {
		case <-heard:
		case <-ctx.Done():
			return time.Time{}, "", fmt.Errorf("no question was %s within %s; the last was %s", outcome, patience, last)
		}
	}
}

// during fails unless every question between since and now had the outcome, and
// tells how many there were.
func (w *watch) during(since time.Time, outcome string) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, s := range w.samples {
		if s.sent.Before(since) {
			continue
		}
		n++
		if s.outcome != outcome {
			return n, fmt.Errorf("a question was %s: %s", s.outcome, s.detail)
		}
	}
	if n == 0 {
		return 0, errors.New("no question was asked")
	}
	return n, nil
}

// end stops asking and returns what was seen, in spans since began.
func (w *watch) end(began time.Time) (spans []Span, asked int, err error) {
	w.stop()
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.samples {
		from, to := Millis(s.sent.Sub(began)), Millis(s.heard.Sub(began))
		if n := len(spans); n > 0 && spans[n-1].Outcome == s.outcome && spans[n-1].Detail == s.detail {
			spans[n-1].To = to
			continue
		} else if n > 0 {
			spans[n-1].To = from // no gaps in the picture
		}
		spans = append(spans, Span{from, to, s.outcome, s.detail})
	}
	if w.wrong != "" {
		err = fmt.Errorf("a question was answered wrongly: %s", w.wrong)
	}
	return spans, len(w.samples), err
}

// firstLine keeps a message short enough for a time line.
func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return s
}
