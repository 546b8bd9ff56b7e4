package clock_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kustos-io/kustos/internal/clock"
)

func TestManualClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := clock.Manual(time.Hour)
		if got := time.Until(c.Now()); got != time.Hour {
			t.Errorf("ahead by %s", got)
		}
		woken := c.Advanced()
		var kept time.Duration
		if err := c.Advance(24*time.Hour, func(d time.Duration) error { kept = d; return nil }); err != nil {
			t.Fatal(err)
		}
		<-woken
		if want := 25 * time.Hour; kept != want || c.Offset() != want || time.Until(c.Now()) != want {
			t.Errorf("kept %s, offset %s, ahead by %s", kept, c.Offset(), time.Until(c.Now()))
		}
		select {
		case <-c.Advanced():
			t.Error("woken without an advance")
		default:
		}
		time.Sleep(time.Minute) // the bubble's clock
		if got := time.Until(c.Now()); got != 25*time.Hour {
			t.Errorf("does not move with real time: ahead by %s", got)
		}
	})
}

func TestAdvanceRefuses(t *testing.T) {
	t.Parallel()
	broken := errors.New("no disk")
	c := clock.Manual(0)
	for name, tc := range map[string]struct {
		clock *clock.Clock
		by    time.Duration
		keep  func(time.Duration) error
		want  error
	}{
		"real":      {clock.Real(), time.Hour, nil, clock.ErrReal},
		"still":     {c, 0, nil, clock.ErrBackwards},
		"backwards": {c, -time.Hour, nil, clock.ErrBackwards},
		"too far":   {c, clock.Limit + 1, nil, clock.ErrTooFar},
		"not kept":  {c, time.Hour, func(time.Duration) error { return broken }, broken},
	} {
		if err := tc.clock.Advance(tc.by, tc.keep); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
		if tc.clock.Offset() != 0 {
			t.Errorf("%s: moved by %s", name, tc.clock.Offset())
		}
	}
}

func TestParseDuration(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{"90d": 90 * day, "1d12h": day + 12*time.Hour, "30m": 30 * time.Minute, "0d": 0, "1.5h": 90 * time.Minute} {
		if got, err := clock.ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "90", "1.5d", "-1d", "1d-2h", "99999d", "1d2", "90 d", "1dd"} {
		if got, err := clock.ParseDuration(text); err == nil {
			t.Errorf("%q: %s", text, got)
		}
	}
}
