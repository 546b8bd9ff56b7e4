package drill

import (
	"fmt"
	"time"
)

// Report is the outcome of one run of drills.
type Report struct {
	Product  string    `json:"product"`
	Started  time.Time `json:"started"`
	Took     Millis    `json:"tookMs"`
	Hints    bool      `json:"vaultHints"` // vaults ask for a probe after a change
	Interval Millis    `json:"probeIntervalMs"`
	Passed   bool      `json:"passed"`
	Drills   []*Result `json:"drills"`
}

// mode says what makes a probe besides the interval.
func (r *Report) mode() string {
	if r.Hints {
		return "and at once when a vault hints at a change"
	}
	return "without hints of the vaults"
}

// Millis is a duration that JSON holds in milliseconds.
type Millis time.Duration

// MarshalJSON writes whole milliseconds.
func (m Millis) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%d", time.Duration(m).Milliseconds()), nil
}

func (m Millis) String() string {
	d := time.Duration(m)
	if d < 10*time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// Result is one drill. Times are since its first event.
type Result struct {
	Name     string    `json:"name"`
	Title    string    `json:"title"`
	Passed   bool      `json:"passed"`
	Error    string    `json:"error,omitempty"` // why it failed
	Took     Millis    `json:"tookMs"`
	Events   []Event   `json:"events"`
	Measures []Measure `json:"measures"`
	Seen     []Span    `json:"seen"`
	Asked    int       `json:"questionsAsked"`
}

// Kinds of events.
const (
	Act  = "act"  // something was done to the key
	Seen = "seen" // something was found to be so
)

// Event is a point on the time line.
type Event struct {
	At     Millis `json:"atMs"`
	Kind   string `json:"kind"`
	What   string `json:"what"`
	Detail string `json:"detail,omitempty"`
}

// Measure is a measured delay and what it may be at most; a Bound of 0 means
// that nothing is promised.
type Measure struct {
	Name  string `json:"name"`
	Took  Millis `json:"tookMs"`
	Bound Millis `json:"boundMs,omitempty"`
}

// What a client that keeps asking was answered.
const (
	Answered = "answered"
	Refused  = "refused"
	Silent   = "silent" // no HTTP answer: the server was down
)

// Span is a stretch of time in which every question had the same outcome.
type Span struct {
	From    Millis `json:"fromMs"`
	To      Millis `json:"toMs"`
	Outcome string `json:"outcome"`
	Detail  string `json:"detail,omitempty"` // of a refusal
}
