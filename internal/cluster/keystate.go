package cluster

import "github.com/kustos-io/kustos/internal/envelope"

func (n *node) keyState() envelope.KeyState {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.key
}

// moveKey tells the key's state machine what happened, and the listener what
// became of it.
func (n *node) moveKey(e envelope.KeyEvent, cause error) {
	n.moving.Lock()
	defer n.moving.Unlock()
	n.mu.Lock()
	from := n.key
	to, err := from.Next(e)
	n.key = to
	n.mu.Unlock()
	if err != nil {
		n.r.cfg.Log.Error("BUG: event of a key out of order", "cluster", n.spec.ID, "error", err)
		return
	}
	if from == to {
		return
	}
	n.r.cfg.Log.Info("key of a cluster changes its state", "cluster", n.spec.ID, "from", from, "to", to, "cause", cause)
	if n.r.cfg.OnKey != nil {
		n.r.cfg.OnKey(n.spec, from, to, cause)
	}
}

// refused is the refusal of a key that nothing was open under: the server was
// started without it, or it went again while it was being restored.
func (n *node) refused(cause error) {
	n.moveKey(envelope.KeyRefused, cause)
	if n.keyState() == envelope.KeySuspending {
		n.moveKey(envelope.KeyWiped, nil)
	}
}
