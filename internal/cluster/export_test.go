package cluster

import "errors"

// crash drops the runtime as a power cut would: nothing is sealed, no log gets
// its end mark. Only what would go on running in this process is ended.
func (r *Runtime) crash() {
	r.stop()
	r.work.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, n := range r.nodes {
		n.mu.Lock()
		s := n.current
		n.current = nil
		n.mu.Unlock()
		if s == nil {
			continue
		}
		s.gate.Lock()
		s.shut = true
		s.cancel(errors.New("crash"))
		s.gate.Unlock()
		s.engine.stop()
		s.inside.Wait()
		s.cache.close()
		n.ring.Lock()
	}
}
