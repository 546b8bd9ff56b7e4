package cluster

import "sync"

// writers are those who write an extent of a database: from before its DEK is
// wrapped until the catalogue has it. Whoever has made a new version of the
// database's key can wait for those that may still use the one before.
type writers struct {
	mu  sync.Mutex
	now *sync.WaitGroup
}

// enter says that somebody writes; leave must be called at the end.
func (w *writers) enter() (leave func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now == nil {
		w.now = &sync.WaitGroup{}
	}
	w.now.Add(1)
	return w.now.Done
}

// settled is closed when all who write now have left. Those that come later are
// not waited for.
func (w *writers) settled() <-chan struct{} {
	w.mu.Lock()
	before := w.now
	w.now = nil
	w.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if before != nil {
			before.Wait()
		}
	}()
	return done
}
