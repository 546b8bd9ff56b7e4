package vault

import (
	"context"
	"strings"
	"sync"

	"github.com/kustos-io/kustos/internal/store"
)

// recordCacheSize bounds the records of one kind that stay decoded in memory.
const recordCacheSize = 4096

// recordCache keeps decoded records of live vaults and key versions, so that a
// use of a key reads no store. Every write of the service and every move empties
// it, before the commit and after it, and a record that was read before a write is not
// put: what is served is never older than the newest write that was
// acknowledged. Records of what is deleted are not kept: they end with time.
//
// Records are shared: nobody may change one.
type recordCache struct {
	mu         sync.RWMutex
	generation uint64
	vaults     map[string]Vault             // by name in lower case
	versions   map[string]found[KeyVersion] // by path; an empty version is the newest
}

func newRecordCache() *recordCache {
	c := &recordCache{}
	c.empty()
	return c
}

// empty forgets everything.
func (c *recordCache) empty() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.vaults, c.versions = map[string]Vault{}, map[string]found[KeyVersion]{}
}

// vault returns a record, or the generation to hand to putVault after reading.
func (c *recordCache) vault(name string) (v Vault, ok bool, generation uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, ok = c.vaults[strings.ToLower(name)]
	return v, ok, c.generation
}

func (c *recordCache) putVault(v Vault, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation == c.generation && v.Deleted == nil && len(c.vaults) < recordCacheSize {
		c.vaults[v.Host()] = v
	}
}

func (c *recordCache) version(path string) (f found[KeyVersion], ok bool, generation uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	f, ok = c.versions[path]
	return f, ok, c.generation
}

func (c *recordCache) putVersion(path string, f found[KeyVersion], generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation == c.generation && f.Object.Deleted == nil && len(c.versions) < recordCacheSize {
		c.versions[path] = f
	}
}

// liveByName reads a vault that is not deleted.
func (s *Service) liveByName(ctx context.Context, name string) (v Vault, ok bool, err error) {
	v, ok, generation := s.records.vault(name)
	if ok {
		return v, true, nil
	}
	err = s.Store.View(ctx, func(tx store.Tx) (err error) {
		v, ok, err = s.live(tx, name)
		return err
	})
	if err == nil && ok {
		s.records.putVault(v, generation)
	}
	return v, ok, err
}
