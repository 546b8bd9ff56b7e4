package faults

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// Kind is what goes wrong.
type Kind string

// The kinds on the key path, and the two of the disk.
const (
	Throttled    Kind = "throttled"    // 429 with Retry-After, not asked
	ServerError  Kind = "serverError"  // 500, not asked
	Timeout      Kind = "timeout"      // no answer until the caller gives up
	Slow         Kind = "slow"         // the answer comes after a delay
	WrongVersion Kind = "wrongVersion" // the answer names another key version than the one asked for
	ExpiredToken Kind = "expiredToken" // the vault is asked with a token of two days ago
	ClockSkew    Kind = "clockSkew"    // the vault is asked with a token of tomorrow
	TLSFailure   Kind = "tlsFailure"   // the vault's certificate is not trusted
	TornWrite    Kind = "tornWrite"    // half of a write reaches the file, then an error
	FullDisk     Kind = "fullDisk"     // no byte reaches the file: no space left on device
)

func kinds() []Kind {
	return []Kind{Throttled, ServerError, Timeout, Slow, WrongVersion, ExpiredToken, ClockSkew, TLSFailure, TornWrite, FullDisk}
}

// onDisk reports whether k happens to files.
func (k Kind) onDisk() bool { return k == TornWrite || k == FullDisk }

// Match says which requests or files a rule is for. Every member that is not
// empty must match; letter case does not matter.
type Match struct {
	Host      string `json:"host,omitempty"`      // host of the request
	Vault     string `json:"vault,omitempty"`     // name of the vault: the first label of the host
	Operation string `json:"operation,omitempty"` // wrapKey, unwrapKey or get
	Cluster   string `json:"cluster,omitempty"`   // name or id of the cluster that asks
	File      string `json:"file,omitempty"`      // pattern of a file's base name, such as *.kxt
}

// Rule is one fault.
type Rule struct {
	ID    string `json:"id,omitempty"` // given by Add
	Kind  Kind   `json:"kind"`
	Match Match  `json:"match,omitzero"`
	// Rate is the share of matching events that fail, above 0 up to 1; absent means all.
	Rate float64 `json:"rate,omitempty"`
	// Count is after how many injections the rule rests; absent means never.
	Count int `json:"count,omitempty"`
	// RetryAfter is the header of Throttled in seconds; absent means 1.
	RetryAfter int `json:"retryAfter,omitempty"`
	// Delay is how long Slow waits, as in "2s"; absent means 1 s.
	Delay string `json:"delay,omitempty"`
	// Injected is how often the rule struck; it cannot be set.
	Injected int `json:"injected"`

	delay time.Duration
}

// check refuses what makes no sense, by name, and fills defaults in.
func (r *Rule) check() error {
	known := false
	var names []string
	for _, k := range kinds() {
		known = known || k == r.Kind
		names = append(names, string(k))
	}
	switch {
	case !known:
		return fmt.Errorf("kind %q is none of %s", r.Kind, strings.Join(names, ", "))
	case r.ID != "" || r.Injected != 0:
		return fmt.Errorf("id and injected are given by the server")
	case r.Rate < 0 || r.Rate > 1:
		return fmt.Errorf("rate %v is not above 0 and up to 1", r.Rate)
	case r.Count < 0:
		return fmt.Errorf("count %d is below 0", r.Count)
	case r.RetryAfter < 0 || r.RetryAfter > 3600:
		return fmt.Errorf("retryAfter %d is not between 0 and 3600 seconds", r.RetryAfter)
	case r.RetryAfter != 0 && r.Kind != Throttled:
		return fmt.Errorf("retryAfter is for the kind %s", Throttled)
	case r.Delay != "" && r.Kind != Slow:
		return fmt.Errorf("delay is for the kind %s", Slow)
	case r.Kind.onDisk() && r.Match != (Match{File: r.Match.File}):
		return fmt.Errorf("the kind %s matches by file only", r.Kind)
	case !r.Kind.onDisk() && r.Match.File != "":
		return fmt.Errorf("match.file is for the kinds %s and %s", TornWrite, FullDisk)
	}
	if _, err := path.Match(r.Match.File, "x"); err != nil {
		return fmt.Errorf("match.file %q is not a pattern", r.Match.File)
	}
	switch strings.ToLower(r.Match.Operation) {
	case "", "wrapkey", "unwrapkey", "get":
	default:
		return fmt.Errorf("match.operation %q is none of wrapKey, unwrapKey, get", r.Match.Operation)
	}
	if r.Rate == 0 {
		r.Rate = 1
	}
	if r.RetryAfter == 0 && r.Kind == Throttled {
		r.RetryAfter = 1
	}
	if r.Kind != Slow {
		return nil
	}
	if r.Delay == "" {
		r.Delay = "1s"
	}
	d, err := time.ParseDuration(r.Delay)
	if err != nil || d <= 0 || d > 10*time.Minute {
		return fmt.Errorf("delay %q is not a duration above 0 and up to 10m", r.Delay)
	}
	r.delay = d
	return nil
}

// event is what a rule is held against.
type event struct {
	host, operation, cluster, clusterName, file string
}

func (m Match) fits(e event) bool {
	vault, _, _ := strings.Cut(e.host, ".")
	same := func(want string, got ...string) bool {
		for _, g := range got {
			if g != "" && strings.EqualFold(want, g) {
				return true
			}
		}
		return want == ""
	}
	file, _ := path.Match(m.File, e.file) // the pattern was checked
	return same(m.Host, e.host) && same(m.Vault, vault) && same(m.Operation, e.operation) &&
		same(m.Cluster, e.cluster, e.clusterName) && (m.File == "" || file)
}
