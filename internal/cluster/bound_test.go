package cluster

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kustos-io/kustos/internal/envelope"
)

// Without a hint a refusal is heard within the probe interval, whenever it
// comes and whatever trouble there was before; so is the key's return. Measured on
// the bubble's clock: what the machine does takes no time there.
func TestProbeIntervalIsTheBound(t *testing.T) {
	for name, trouble := range map[string]time.Duration{"out of peace": 0, "after trouble": 47 * time.Second, "after long trouble": 11 * time.Minute} {
		for _, interval := range []time.Duration{20 * time.Second, 500 * time.Millisecond} {
			for _, into := range []time.Duration{time.Millisecond, interval / 3, interval - time.Millisecond} {
				t.Run(name+" "+interval.String()+" "+into.String(), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { denyAndRestore(t, interval, trouble, into) })
				})
			}
		}
	}
}

// denyAndRestore takes the key away at a moment of an interval, and gives it back.
func denyAndRestore(t *testing.T, interval, trouble, into time.Duration) {
	ctx := context.Background()
	w := newWorld(t)
	w.cfg.ProbeInterval = interval
	w.reopen()
	w.await(Running)
	w.must(w.r.ChangeKEK(ctx, testCluster, envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://v.vault.azure.net", KeyName: "k"}))
	w.must(w.ingest("T", 1))
	time.Sleep(5 * interval)
	if trouble > 0 {
		w.vault.set(errUnavailable)
		time.Sleep(trouble)
	}
	time.Sleep(into)
	w.want("T", "1")
	w.vault.set(errRevoked)
	took := until(interval/1000, func() bool { return w.phase() == Suspended })
	if took > interval+interval/1000 {
		t.Errorf("denied after %v; the interval is %v", took, interval)
	}
	var suspended *SuspendedError
	if _, err := w.r.Tables(ctx, testCluster, "db"); !errors.As(err, &suspended) {
		t.Errorf("a suspended cluster says %v", err)
	}
	time.Sleep(3*interval + into)
	w.vault.set(nil)
	back := until(interval/1000, func() bool { return w.phase() == Running })
	if back > interval+interval/1000 {
		t.Errorf("restored after %v; the interval is %v", back, interval)
	}
	w.want("T", "1")
	t.Logf("denied after %v, restored after %v", took, back)
}

// phase is the cluster's, once everything that runs has come to rest.
func (w *world) phase() Phase {
	w.t.Helper()
	synctest.Wait()
	state, err := w.r.State(context.Background(), testCluster)
	w.must(err)
	return state.Phase
}

// until measures on the bubble's clock, in steps.
func until(step time.Duration, seen func() bool) time.Duration {
	begin := time.Now()
	for !seen() && time.Since(begin) < time.Hour {
		time.Sleep(step)
	}
	return time.Since(begin)
}
