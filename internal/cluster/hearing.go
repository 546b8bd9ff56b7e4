package cluster

import "sync"

// hearing orders what is heard about one key. Questions overlap: a hint asks
// while the keeper waits for its own answer, and an answer may be acted upon long
// after it was given. What was asked later is the newer truth, so an answer counts
// only if none to a later question was heard before.
type hearing struct {
	mu    sync.Mutex
	asked uint64 // number of the last question
	heard uint64 // number of the latest question whose answer was heard
}

// ask gives a number to a question that is about to be asked.
func (h *hearing) ask() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	return h.asked
}

// hear notes a definite answer, yes or no, to a question. It reports false when
// a later one was answered already.
func (h *hearing) hear(question uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if question < h.heard {
		return false
	}
	h.heard = question
	return true
}

// stale reports whether a later question than this was answered.
func (h *hearing) stale(question uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return question < h.heard
}
