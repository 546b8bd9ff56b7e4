package cluster

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever is answered: a key in memory is asked about at least once in each
// interval, one that is not within four; pauses grow with silence and an answer
// ends that.
func TestBackoff(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
		cfg := Config{ProbeInterval: time.Duration(rapid.Int64Range(1, 7200_000).Draw(rt, "interval ms")) * time.Millisecond, Now: func() time.Time { return now }}
		first := rapid.SampledFrom([]time.Duration{firstRetry, cfg.ProbeInterval / 8, cfg.ProbeInterval}).Draw(rt, "first")
		var b backoff
		var before time.Duration // the last pause of a row of silence, 0 after an answer
		row := 0
		up := rapid.Bool().Draw(rt, "up")
		for range rapid.IntRange(1, 40).Draw(rt, "questions") {
			answered := rapid.Bool().Draw(rt, "answered")
			pause := b.after(cfg, answered, up, first)
			limit := cfg.ProbeInterval
			if !up && !answered {
				limit *= awayFactor
			}
			switch {
			case pause < 0 || pause > limit:
				rt.Fatalf("a pause of %v, at most %v", pause, limit)
			case answered && pause != cfg.ProbeInterval:
				rt.Fatalf("after an answer a pause of %v", pause)
			case !answered && pause < before && pause < limit*4/5:
				rt.Fatalf("a pause of %v after one of %v", pause, before)
			}
			before, row = pause, row+1
			if answered {
				before, row = 0, 0
			}
			if said := b.say("why"); (row > 0) != strings.Contains(said, "in vain, again at 2026-11-24T") || !strings.HasPrefix(said, "why") {
				rt.Fatalf("%d without an answer: %q", row, said)
			}
		}
	})
}
