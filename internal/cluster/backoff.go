package cluster

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// firstRetry is the first pause when a key cannot be reached at the start of
// the server: its vault may be starting too.
const firstRetry = 100 * time.Millisecond

// awayFactor bounds, in probe intervals, the pause between questions about a
// key under which nothing is open.
const awayFactor = 4

// backoff is how long a keeper waits before it asks about a key again. Pauses
// double while nobody answers, or what a key opens does not come up; each is shortened by up to a fifth so that many
// keepers do not ask at once, and any answer ends the row.
//
// While the key is in memory no pause is longer than the probe interval: a
// refusal that comes after network trouble is heard within the same bound as
// any other. While nothing is in memory there is nothing to deny, and the
// pauses may grow to awayFactor intervals.
type backoff struct {
	mu     sync.Mutex
	silent int       // attempts in a row that came to nothing
	next   time.Time // when the next one is due
}

// after is the pause after a question. up says that the key is in memory, first
// is the first pause of a row of silence.
func (b *backoff) after(cfg Config, answered, up bool, first time.Duration) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	pause := cfg.ProbeInterval
	if answered {
		b.silent = 0
	} else {
		limit := cfg.ProbeInterval
		if !up {
			limit *= awayFactor
		}
		pause = min(max(first, time.Millisecond), limit)
		for i := 0; i < b.silent && pause < limit; i++ {
			pause = min(2*pause, limit)
		}
		pause -= rand.N(pause/5 + 1)
		b.silent++
	}
	b.next = cfg.Now().Add(pause)
	return pause
}

// reset forgets the silence: nothing is asked for now.
func (b *backoff) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.silent, b.next = 0, time.Time{}
}

// say adds to a reason what is being done about it.
func (b *backoff) say(reason string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.silent == 0 {
		return reason
	}
	times := "once"
	if b.silent > 1 {
		times = fmt.Sprintf("%d times", b.silent)
	}
	line, rest, _ := strings.Cut(reason, "\n") // what follows is for the log
	return strings.TrimSpace(fmt.Sprintf("%s; tried %s in vain, again at %s\n%s", line, times, b.next.UTC().Format(time.RFC3339), rest))
}
