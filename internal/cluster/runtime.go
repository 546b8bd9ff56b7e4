package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/durable"
	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
)

// Launcher starts engine children; satisfied by *engine.Process.
type Launcher interface {
	Launch(ctx context.Context, cfg engine.Config) (engine.Child, error)
}

// Config is what a Runtime is made from. Dir, Store, Wrappers and Engine are required.
type Config struct {
	Dir      string // data files live below Dir/clusters
	Store    store.Store
	Wrappers envelope.KeyWrappers
	Engine   Launcher
	// EngineConfig is given to every child.
	EngineConfig engine.Config
	Now          func() time.Time // nil = time.Now
	// Advanced returns a channel that is closed when Now jumps: probes and ages
	// are looked at again at once. nil = it never jumps.
	Advanced func() <-chan struct{}
	Disk     durable.Hook     // stands before writes of data files, for rehearsals; nil in peace
	Log      *slog.Logger     // nil = silent
	Audit    envelope.Auditor // of what is done with clusters' keys; nil keeps no record

	// ProbeInterval is how often the key of a running cluster is probed and a
	// suspended one is tried again; 0 means 20 s.
	ProbeInterval time.Duration
	// GracePeriod is how long a key that nobody can ask for may stay away
	// before the cluster is suspended; 0 means 30 minutes.
	GracePeriod time.Duration
	// CacheBytes is the most plaintext of extents a cluster keeps in memory
	// beyond what running queries hold; 0 means 1 GiB.
	CacheBytes int64
	// Hot says what is kept in tables of the engine's memory; 0 bytes mean nothing.
	Hot HotPolicy
	// Seal says when buffered rows become an extent.
	Seal SealPolicy
	// Merge says when small extents become one.
	Merge MergePolicy
	// MaintainInterval is how often extents are merged and those beyond their
	// retention dropped; 0 means 1 minute.
	MaintainInterval time.Duration
	// OnState hears of every change of phase, one at a time for each cluster;
	// a deleted cluster ends as Stopped. It must not start, stop or delete
	// clusters. nil = nobody listens.
	OnState func(c Spec, p Phase)
	// OnKey hears of every change of a key's state, in order for each cluster,
	// with what caused it or nil. The same rules hold. nil = nobody listens.
	OnKey func(c Spec, from, to envelope.KeyState, cause error)
	// OnDatabaseKey is OnKey for databases with a key of their own, named by id.
	OnDatabaseKey func(c Spec, database string, from, to envelope.KeyState, cause error)
	// OnReencryption hears of the beginning, the pauses and the end of
	// re-encryptions, not always in order. nil = nobody listens.
	OnReencryption func(c Spec, e ReencryptionEvent)
	// Forget is called when the keys and the plaintext of a cluster, or of one
	// of its databases (by id, else ""), have been wiped; it makes what the process
	// has let go of unreadable too. nil does nothing.
	Forget func(c Spec, database string)
}

// SealPolicy says when a table's buffer is sealed: at the first limit it reaches.
type SealPolicy struct {
	Rows  int64         // 0 means 250,000
	Bytes int64         // of Arrow data; 0 means 64 MiB
	Age   time.Duration // of the oldest row; 0 means 5 minutes
}

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Advanced == nil {
		c.Advanced = func() <-chan struct{} { return nil }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	setDefault(&c.ProbeInterval, 20*time.Second)
	setDefault(&c.GracePeriod, 30*time.Minute)
	setDefault(&c.CacheBytes, 1<<30)
	setDefault(&c.Seal.Rows, 250_000)
	setDefault(&c.Seal.Bytes, 64<<20)
	setDefault(&c.Seal.Age, 5*time.Minute)
	setDefault(&c.Merge.Rows, 1_000_000)
	c.Hot = c.Hot.withDefaults()
	c.EngineConfig.HotBytes = c.Hot.Bytes
	setDefault(&c.MaintainInterval, time.Minute)
	if c.Merge.Extents <= 0 {
		c.Merge.Extents = 8
	}
	return c
}

func setDefault[T ~int64](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Runtime runs the clusters of one data folder. It is safe for concurrent use.
type Runtime struct {
	cfg  Config
	ctx  context.Context // ends with Close
	stop context.CancelFunc
	work sync.WaitGroup // one keeper for each known cluster

	mu      sync.Mutex
	nodes   map[string]*node
	started bool // StartAll was called
	closed  bool
}

var _ Service = (*Runtime)(nil)

// Open reads which clusters there are. It starts none: the vault they need may
// be served by this very process, which is not up yet. StartAll does.
func Open(ctx context.Context, cfg Config) (*Runtime, error) {
	cfg = cfg.withDefaults()
	if err := durable.MkdirAll(filepath.Join(cfg.Dir, "clusters"), 0o700); err != nil {
		return nil, fmt.Errorf("open runtime: %w", err)
	}
	r := &Runtime{cfg: cfg, nodes: make(map[string]*node)}
	r.ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	records, err := r.records(ctx)
	if err != nil {
		r.stop()
		return nil, fmt.Errorf("open runtime: %w", err)
	}
	if err := r.removeStrangers(records); err != nil {
		r.stop()
		return nil, fmt.Errorf("open runtime: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range records {
		if _, err := r.adopt(rec); err != nil {
			r.stop()
			return nil, fmt.Errorf("open runtime: %w", err)
		}
	}
	return r, nil
}

// startPatience is how long StartAll waits for the first attempts.
const startPatience = 3 * time.Second

// StartAll begins to start the clusters that should run, to probe the keys of
// those that do, and to resume those whose key returns. It waits a moment for
// the first attempts; a cluster whose key is away or slow comes up later.
func (r *Runtime) StartAll(ctx context.Context) error {
	r.mu.Lock()
	r.started = true
	nodes := slices.Collect(maps.Values(r.nodes))
	for _, n := range nodes {
		r.work.Go(n.keep)
	}
	r.mu.Unlock()
	timer := time.NewTimer(startPatience)
	defer timer.Stop()
	for _, n := range nodes {
		select {
		case <-n.tried:
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Close stops every cluster, buffers sealed, and leaves what the users wished
// as it is: what ran will run again.
func (r *Runtime) Close() error {
	r.mu.Lock()
	r.closed = true
	nodes := slices.Collect(maps.Values(r.nodes))
	r.mu.Unlock()
	r.stop()
	r.work.Wait()
	var all sync.WaitGroup
	for _, n := range nodes {
		all.Go(func() { n.shutDown(ErrNotRunning, true) })
	}
	all.Wait()
	return nil
}

// Clusters are the ids of all clusters, in order.
func (r *Runtime) Clusters() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.nodes))
}

func (r *Runtime) dir(clusterID string) string {
	return filepath.Join(r.cfg.Dir, "clusters", clusterID)
}

// removeStrangers deletes the folders of clusters that are no more: a crash
// came between the end of a cluster in the store and the end of its files.
func (r *Runtime) removeStrangers(records []record) error {
	defer r.cfg.removing()()
	known := make(map[string]bool, len(records))
	for _, rec := range records {
		known[rec.ID] = true
	}
	entries, err := os.ReadDir(filepath.Join(r.cfg.Dir, "clusters"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if known[e.Name()] {
			continue
		}
		r.cfg.Log.Info("removing the files of a deleted cluster", "cluster", e.Name())
		if err := os.RemoveAll(r.dir(e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// node finds a cluster, also one that was made since Open.
func (r *Runtime) node(ctx context.Context, id string) (*node, error) {
	id = strings.ToLower(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	if n, ok := r.nodes[id]; ok {
		return n, nil
	}
	var rec record
	err := r.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		rec, err = store.GetJSON[record](tx, recordBucket, id)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("cluster %s: %w", id, catalog.ErrNotFound)
	} else if err != nil {
		return nil, err
	}
	return r.adopt(rec)
}

// adopt makes the node of a record; the caller holds r.mu.
func (r *Runtime) adopt(rec record) (*node, error) {
	ring, err := envelope.New(envelope.Config{ClusterID: rec.ID, Store: r.cfg.Store, Wrappers: r.cfg.Wrappers, Log: r.cfg.Log, Audit: r.cfg.Audit})
	if err != nil {
		return nil, err
	}
	n := newNode(r, rec, ring)
	// A record without a wrap is broken, and says so when it is used.
	if wrapped, err := ring.Wrapped(r.ctx); err == nil {
		n.key = envelope.KeyStateOf(wrapped.KEK)
	}
	r.nodes[rec.ID] = n
	if r.started && !r.closed {
		r.work.Go(n.keep)
	}
	return n, nil
}

// session is the running part of a cluster, or the reason why there is none.
func (r *Runtime) session(ctx context.Context, id string) (*session, error) {
	n, err := r.node(ctx, id)
	if err != nil {
		return nil, err
	}
	return n.running()
}

// Spec is what a cluster was made from.
func (r *Runtime) Spec(ctx context.Context, id string) (Spec, error) {
	n, err := r.node(ctx, id)
	if err != nil {
		return Spec{}, err
	}
	return n.spec, nil
}

// ByHost finds the cluster of a host of the data plane.
func (r *Runtime) ByHost(host string) (id string, ok bool) {
	host = strings.TrimPrefix(strings.ToLower(host), "ingest-")
	if h, _, found := strings.Cut(host, ":"); found {
		host = h
	}
	return r.find(func(s Spec) bool { return strings.EqualFold(strings.TrimPrefix(s.URI, "https://"), host) })
}

// ByName finds a cluster by its name, without regard to case.
func (r *Runtime) ByName(name string) (id string, ok bool) {
	return r.find(func(s Spec) bool { return strings.EqualFold(s.Name, name) })
}

func (r *Runtime) find(match func(Spec) bool) (string, bool) {
	r.mu.Lock()
	for id, n := range r.nodes {
		if match(n.spec) {
			r.mu.Unlock()
			return id, true
		}
	}
	r.mu.Unlock()
	// Perhaps it was made since.
	records, err := r.records(r.ctx)
	if err != nil {
		r.cfg.Log.Error("clusters cannot be listed", "error", err)
		return "", false
	}
	for _, rec := range records {
		if match(rec.Spec) {
			return rec.ID, true
		}
	}
	return "", false
}
