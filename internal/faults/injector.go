package faults

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// Signer signs a token of a managed identity as if it were signed at another
// time; satisfied by the directory.
type Signer interface {
	IdentityTokenAt(ctx context.Context, objectID, resource string, at time.Time) (string, error)
}

// Config makes an Injector.
type Config struct {
	Log *slog.Logger // nil: silent
	// Name is a cluster's name by its id; nil or "" means that it is not known.
	Name func(ctx context.Context, id string) string
	// Roll is a number in [0,1) for rates; nil means random.
	Roll func() float64
	// Now is the time of the tokens; nil means time.Now.
	Now func() time.Time
}

// Injector holds the rules. It is safe for concurrent use.
type Injector struct {
	cfg Config

	mu    sync.Mutex
	rules []*Rule
	last  int // number of the last rule
}

// New makes an Injector without rules.
func New(cfg Config) *Injector {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Roll == nil {
		cfg.Roll = rand.Float64
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Injector{cfg: cfg}
}

// Add puts a rule in force and returns it with its id. A rule that makes no
// sense is refused by a sentence.
func (i *Injector) Add(r Rule) (Rule, error) {
	if err := r.check(); err != nil {
		return Rule{}, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.last++
	r.ID = strconv.Itoa(i.last)
	i.rules = append(i.rules, &r)
	return r, nil
}

// Remove takes a rule out; false when there is none of that id.
func (i *Injector) Remove(id string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	for n, r := range i.rules {
		if r.ID == id {
			i.rules = append(i.rules[:n:n], i.rules[n+1:]...)
			return true
		}
	}
	return false
}

// Clear takes every rule out and returns how many there were.
func (i *Injector) Clear() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := len(i.rules)
	i.rules = nil
	return n
}

// Rules are the rules in the order of their making, those at rest included.
func (i *Injector) Rules() []Rule {
	i.mu.Lock()
	defer i.mu.Unlock()
	out := make([]Rule, 0, len(i.rules))
	for _, r := range i.rules {
		out = append(out, *r)
	}
	return out
}

// strike finds the first rule that strikes now, and counts it.
func (i *Injector) strike(disk bool, e func() event) (Rule, bool) {
	i.mu.Lock()
	idle := true
	for _, r := range i.rules {
		idle = idle && r.Kind.onDisk() != disk
	}
	i.mu.Unlock()
	if idle {
		return Rule{}, false
	}
	happened := e() // outside the lock: it asks others
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, r := range i.rules {
		if r.Kind.onDisk() != disk || r.Count > 0 && r.Injected >= r.Count || !r.Match.fits(happened) || i.cfg.Roll() >= r.Rate {
			continue
		}
		r.Injected++
		i.cfg.Log.Warn("fault injected", "rule", r.ID, "kind", r.Kind, "host", happened.host, "operation", happened.operation, "cluster", happened.cluster, "file", happened.file)
		return *r, true
	}
	return Rule{}, false
}

type clusterKey struct{}

// WithCluster notes in ctx for which cluster a key is asked for, so that a rule
// can match it.
func WithCluster(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, clusterKey{}, id)
}

func clusterOf(ctx context.Context) string {
	id, _ := ctx.Value(clusterKey{}).(string)
	return id
}
