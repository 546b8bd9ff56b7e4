package kusto

import (
	"context"
	"strings"
	"sync"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
)

type fakeCluster struct {
	spec      cluster.Spec
	state     cluster.State
	databases map[string]catalog.Database
	own       map[string]cluster.DatabaseState
	grants    map[string]catalog.Grant
}

// fakeRuntime remembers what it was told. Steps listed in fail return their error once.
type fakeRuntime struct {
	mu       sync.Mutex
	clusters map[string]*fakeCluster
	calls    []string
	fail     map[string]error
	hold     chan struct{} // when not nil, Start waits for it
	fakeReencryptions
}

func (f *fakeRuntime) step(name, id string) (*fakeCluster, error) {
	f.calls = append(f.calls, name)
	if err := f.fail[name]; err != nil {
		delete(f.fail, name)
		return nil, err
	}
	c := f.clusters[id]
	if c == nil && name != "Create" {
		return nil, catalog.ErrNotFound
	}
	return c, nil
}

func (f *fakeRuntime) Create(_ context.Context, _ store.Tx, s cluster.Spec) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.step("Create", s.ID); err != nil {
		return err
	}
	f.clusters[s.ID] = &fakeCluster{spec: s, state: cluster.State{Phase: cluster.Stopped, KEK: envelope.KEK{Kind: envelope.KindPlatform}}, databases: map[string]catalog.Database{}, own: map[string]cluster.DatabaseState{}, grants: map[string]catalog.Grant{}}
	return nil
}

func (f *fakeRuntime) set(name, id string, phase cluster.Phase) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.step(name, id)
	if err == nil {
		c.state.Phase, c.state.Reason = phase, ""
	}
	return err
}

func (f *fakeRuntime) Start(ctx context.Context, id string) error {
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return f.set("Start", id, cluster.Running)
}

func (f *fakeRuntime) Stop(_ context.Context, id string) error {
	return f.set("Stop", id, cluster.Stopped)
}

func (f *fakeRuntime) Delete(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.step("Delete", id)
	if err == nil {
		delete(f.clusters, id)
	}
	return err
}

func (f *fakeRuntime) State(_ context.Context, id string) (cluster.State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.clusters[id]; c != nil {
		return c.state, nil
	}
	return cluster.State{}, catalog.ErrNotFound
}

func (f *fakeRuntime) Tables(context.Context, string, string) ([]catalog.Table, error) {
	return []catalog.Table{{Name: "T"}, {Name: "U"}}, nil
}

func (f *fakeRuntime) TableStats(context.Context, string, string, string) (catalog.TableStats, error) {
	return catalog.TableStats{StoredBytes: 1000}, nil
}

func (f *fakeRuntime) ChangeKEK(_ context.Context, id string, kek envelope.KEK) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.step("ChangeKEK", id)
	if err == nil {
		c.state.KEK = kek
	}
	return err
}

func (f *fakeRuntime) ChangeDatabaseKEK(_ context.Context, id, name string, kek envelope.KEK) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.step("ChangeDatabaseKEK", id)
	if err == nil {
		c.own[strings.ToLower(name)] = cluster.DatabaseState{Own: kek.Kind == envelope.KindCustomer, KEK: kek}
	}
	return err
}

func (f *fakeRuntime) DatabaseState(_ context.Context, id, name string) (cluster.DatabaseState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.clusters[id]; c != nil {
		if _, ok := c.databases[strings.ToLower(name)]; ok {
			return c.own[strings.ToLower(name)], nil
		}
	}
	return cluster.DatabaseState{}, catalog.ErrNotFound
}

func (f *fakeRuntime) CreateDatabase(_ context.Context, id string, db catalog.Database) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.step("CreateDatabase", id)
	if err != nil {
		return err
	}
	if _, ok := c.databases[strings.ToLower(db.Name)]; ok {
		return catalog.ErrExists
	}
	c.databases[strings.ToLower(db.Name)] = db
	return nil
}

func (f *fakeRuntime) UpdateDatabase(_ context.Context, id string, db catalog.Database) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.step("UpdateDatabase", id)
	if err == nil {
		c.databases[strings.ToLower(db.Name)] = db
	}
	return err
}

func (f *fakeRuntime) DeleteDatabase(_ context.Context, id, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.step("DeleteDatabase", id)
	if err == nil {
		delete(c.databases, strings.ToLower(name))
	}
	return err
}

func (f *fakeRuntime) Database(_ context.Context, id, name string) (catalog.Database, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.clusters[id]; c != nil {
		if db, ok := c.databases[strings.ToLower(name)]; ok {
			return db, nil
		}
	}
	return catalog.Database{}, catalog.ErrNotFound
}

func (f *fakeRuntime) PutGrant(_ store.Tx, id string, g catalog.Grant) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clusters[id].grants[g.ID] = g
	return nil
}

func (f *fakeRuntime) DeleteGrant(_ store.Tx, id, grantID string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.clusters[id].grants, grantID)
	return nil
}

func (f *fakeRuntime) Grants(_ context.Context, id string) ([]catalog.Grant, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []catalog.Grant
	for _, g := range f.clusters[id].grants {
		out = append(out, g)
	}
	return out, nil
}
