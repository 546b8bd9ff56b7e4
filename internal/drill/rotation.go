package drill

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// rotation changes the key under a cluster that is asked all the while.
func rotation(ctx context.Context, s *scene) error {
	if err := s.furnish(ctx); err != nil {
		return err
	}
	calm := time.Now()
	first := s.version
	if _, _, err := s.act("second version of the key created", func() error { return s.createKey(ctx) }); err != nil {
		return err
	}
	before, after, err := s.act("cluster told to use the second version", func() error { return s.patchKey(ctx, s.version) })
	if err != nil {
		return err
	}
	if err := s.measure("rotation to a named version, as one ARM call", after.Sub(before), 0); err != nil {
		return err
	}
	if err := s.unneeded(ctx, "first version disabled", first); err != nil {
		return err
	}
	if _, _, err := s.act("cluster told to follow the newest version", func() error { return s.patchKey(ctx, "") }); err != nil {
		return err
	}
	second := s.version
	if _, _, err := s.act("third version of the key created, by the key's owner alone", func() error { return s.createKey(ctx) }); err != nil {
		return err
	}
	if err := pause(ctx, s.bound()); err != nil { // within the published interval the cluster has followed
		return err
	}
	if err := s.unneeded(ctx, "second version disabled", second); err != nil {
		return err
	}
	var c struct {
		Properties struct {
			KeyVaultProperties struct{ KeyVersion string }
		}
	}
	if err := s.az.ARM(ctx, http.MethodGet, s.clusterPath(), apiKusto, nil, &c); err != nil {
		return err
	}
	if v := c.Properties.KeyVaultProperties.KeyVersion; v != "" {
		return fmt.Errorf("the resource names version %s, not the newest one", v)
	}
	s.seen("the resource still names no version", "keyVersion is empty")
	n, err := s.watch.during(calm, Answered)
	if err != nil {
		return err
	}
	s.seen(fmt.Sprintf("every one of %d questions since the beginning was answered, and rightly", n), s.answer)
	return nil
}

// unneeded disables a version that must not matter any more: for two probes
// nothing is refused.
func (s *scene) unneeded(ctx context.Context, what, version string) error {
	before, _, err := s.act(what, func() error { return s.enable(ctx, version, false) })
	if err != nil {
		return err
	}
	if err := pause(ctx, s.interval+500*time.Millisecond); err != nil {
		return err
	}
	n, err := s.watch.during(before, Answered)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	s.seen("the old version is not needed any more", fmt.Sprintf("%d questions answered since", n))
	return nil
}

// restoration revokes, crashes, and gives back; and leaves alone what the user stopped.
func restoration(ctx context.Context, s *scene) error {
	if err := s.furnish(ctx); err != nil {
		return err
	}
	if err := s.deny(ctx, "key version disabled", func() error { return s.enable(ctx, s.version, false) }); err != nil {
		return err
	}
	before, _, err := s.act("server killed and started again without the key", func() error { return s.restart(ctx, true) })
	if err != nil {
		return err
	}
	if _, detail, err := s.watch.await(ctx, before, Refused); err != nil {
		return err
	} else {
		s.seen("questions are still refused", detail)
	}
	if err := s.restore(ctx, "key version enabled", func() error { return s.enable(ctx, s.version, true) }); err != nil {
		return err
	}
	stopped, _, err := s.act("cluster stopped by its user", func() error {
		return s.az.ARM(ctx, http.MethodPost, s.clusterPath()+"/stop", apiKusto, nil, nil)
	})
	if err != nil {
		return err
	}
	if _, _, err := s.watch.await(ctx, stopped, Refused); err != nil {
		return err
	}
	asked := time.Now()
	if _, _, err := s.act("key version disabled, then enabled", func() error {
		if err := s.enable(ctx, s.version, false); err != nil {
			return err
		}
		return s.enable(ctx, s.version, true)
	}); err != nil {
		return err
	}
	if err := pause(ctx, s.bound()); err != nil {
		return err
	}
	if _, err := s.watch.during(asked, Refused); err != nil {
		return fmt.Errorf("a cluster that its user stopped came back: %w", err)
	}
	state, _, err := s.state(ctx)
	if err != nil {
		return err
	}
	s.seen("the return of the key does not undo the user's stop", "the cluster is "+state)
	before, _, err = s.act("cluster started by its user", func() error {
		return s.az.ARM(ctx, http.MethodPost, s.clusterPath()+"/start", apiKusto, nil, nil)
	})
	if err != nil {
		return err
	}
	at, _, err := s.watch.await(ctx, before, Answered)
	if err != nil {
		return err
	}
	s.event(at, Seen, "the same question has the same answer", s.answer)
	return s.measure("start by the user, from the request to the first answer", at.Sub(before), 0)
}
