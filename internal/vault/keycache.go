package vault

import (
	"container/list"
	"crypto"
	"strings"
	"sync"
)

// keyCacheSize bounds the private keys that stay parsed in memory.
const keyCacheSize = 256

// keyCache keeps parsed private keys, least recently used first out. It only
// saves the parsing: whether a key may be used is read from the store on every
// call. A key is dropped when its version is disabled or deleted; one that is
// in use at that moment is freed when its operation ends.
type keyCache struct {
	mu      sync.Mutex
	size    int
	order   *list.List // of *cachedKey, newest use in front
	entries map[string]*list.Element
	// generation changes with every drop, so that a load that began before a
	// drop cannot put the key back after it.
	generation uint64
}

type cachedKey struct {
	path string
	key  crypto.Signer
}

func newKeyCache(size int) *keyCache {
	return &keyCache{size: size, order: list.New(), entries: map[string]*list.Element{}}
}

// get returns the key, or the generation to hand to put after loading it.
func (c *keyCache) get(path string) (crypto.Signer, uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[path]; ok {
		c.order.MoveToFront(e)
		return e.Value.(*cachedKey).key, c.generation
	}
	return nil, c.generation
}

func (c *keyCache) put(path string, key crypto.Signer, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries[path]; ok || generation != c.generation {
		return
	}
	c.entries[path] = c.order.PushFront(&cachedKey{path, key})
	if c.order.Len() > c.size {
		c.remove(c.order.Back())
	}
}

// drop forgets every key whose path begins with prefix.
func (c *keyCache) drop(prefix string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	for path, e := range c.entries {
		if strings.HasPrefix(path, prefix) {
			c.remove(e)
		}
	}
}

func (c *keyCache) clear() { c.drop("") }

func (c *keyCache) remove(e *list.Element) {
	delete(c.entries, e.Value.(*cachedKey).path)
	c.order.Remove(e)
}

func (c *keyCache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order.Len()
}
