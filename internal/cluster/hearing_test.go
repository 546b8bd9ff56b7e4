package cluster

import (
	"context"
	"errors"
	"testing"

	"github.com/kustos-io/kustos/internal/envelope"
)

// late lets the next unwrap be answered as things are now, and the answer arrive
// only when the returned function is called. asked is closed when it was given.
func (v *fakeVault) late() (asked <-chan struct{}, arrive func()) {
	given, release := make(chan struct{}), make(chan struct{})
	v.mu.Lock()
	defer v.mu.Unlock()
	v.onAnswer = func() {
		v.mu.Lock()
		v.onAnswer = nil
		v.mu.Unlock()
		close(given)
		<-release
	}
	return given, func() { close(release) }
}

// unattended opens the folder again with nobody to ask about keys but the test.
func (w *world) unattended() *node {
	w.t.Helper()
	w.must(w.r.Close())
	r, err := Open(context.Background(), w.cfg)
	w.must(err)
	w.r = r
	w.t.Cleanup(func() { r.Close() })
	n, err := r.node(context.Background(), testCluster)
	w.must(err)
	if !n.resume() {
		w.t.Fatal("the cluster does not start")
	}
	return n
}

// lateProbe begins a probe that is answered with answer, and lets it arrive when
// the returned function is called.
func lateProbe(v *fakeVault, answer error, probe func() bool) (arrive func()) {
	v.set(answer)
	asked, release := v.late()
	done := make(chan struct{})
	go func() { defer close(done); probe() }()
	<-asked
	return func() { release(); <-done }
}

// An answer that arrives after one to a later question is not acted upon: a
// refusal does not suspend what runs again, silence does not replace the reason
// of a suspension.
func TestAnswersThatComeLate(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	w.must(w.r.ChangeKEK(ctx, testCluster, envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://v.vault.azure.net", KeyName: "k"}))
	n := w.unattended()

	arrive := lateProbe(w.vault, errRevoked, n.probe)
	w.vault.set(nil)
	n.probe()
	arrive()
	if s := w.await(Running); s.Reason != "" {
		t.Errorf("a key that is there: %+v", s)
	}

	arrive = lateProbe(w.vault, errRevoked, n.probe)
	n.probe()
	w.await(Suspended)
	w.vault.set(nil)
	n.resume()
	arrive()
	if s := w.await(Running); s.Key != envelope.KeyCustomer {
		t.Errorf("after the key was restored: %+v", s)
	}

	arrive = lateProbe(w.vault, errUnavailable, n.probe)
	w.vault.set(errRevoked)
	n.probe()
	arrive()
	if s := w.await(Suspended); s.Code != "KeyNotFound" || s.Reason != "the key is gone" {
		t.Errorf("after a late silence: %+v", s)
	}

	// a newer refusal is the reason from then on, also that of a start in vain
	other := &envelope.RevokedError{Code: "KeyVaultNotFound", VaultURI: "https://v.vault.azure.net", Reason: "the vault is gone"}
	w.vault.set(other)
	if err := w.r.Start(ctx, testCluster); err == nil {
		t.Error("started without the key")
	}
	if s := w.await(Suspended); s.Code != other.Code || s.Reason != other.Reason {
		t.Errorf("after a start in vain: %+v", s)
	}
}

// The same for a database's own key.
func TestDatabaseAnswersThatComeLate(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w, vault := newOwnWorld(t)
	n := w.unattended()
	k := n.databaseKeys()[0]
	resume := func() {
		s, err := n.running()
		w.must(err)
		k.resume(s)
	}

	arrive := lateProbe(vault, errRevoked, k.probeNow)
	k.probeNow()
	w.awaitOwn(true)
	vault.set(nil)
	resume()
	arrive()
	if s := w.awaitOwn(false); s.Reason != "" || s.Key != envelope.KeyCustomer {
		t.Errorf("after the key was restored: %+v", s)
	}
	w.wantOwn("1", "2")

	arrive = lateProbe(vault, errUnavailable, k.probeNow)
	vault.set(errRevoked)
	k.probeNow()
	arrive()
	if s := w.awaitOwn(true); s.Code != "KeyNotFound" || s.Reason != "the key is gone" {
		t.Errorf("after a late silence: %+v", s)
	}
	vault.set(nil)
	resume()

	// the cluster starts again while the refusal of before is on its way
	arrive = lateProbe(vault, errRevoked, k.probeNow)
	vault.set(nil)
	w.must(w.r.Stop(ctx, testCluster))
	w.must(w.r.Start(ctx, testCluster))
	arrive()
	if s := w.awaitOwn(false); s.Key != envelope.KeyCustomer {
		t.Errorf("after a start of the cluster: %+v", s)
	}
	w.wantOwn("1", "2")
}

// A suspended database is refused for the newest reason that was given, and
// silence gives none, also when the cluster starts anew meanwhile.
func TestDatabaseIsRefusedForTheNewestReason(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w, vault := newOwnWorld(t)
	n := w.unattended()
	k := n.databaseKeys()[0]
	refused := func(why *envelope.RevokedError) {
		t.Helper()
		var suspended *SuspendedError
		if err := w.ingestOwn(3); !errors.As(err, &suspended) || suspended.Reason != why.Reason || suspended.Code != why.Code {
			t.Errorf("refused with %v; the reason is %v", err, why)
		}
		if s := w.awaitOwn(true); s.Reason != why.Reason || s.Code != why.Code {
			t.Errorf("the state is %+v; the reason is %v", s, why)
		}
	}
	vault.set(errRevoked)
	k.probeNow()
	refused(errRevoked)
	other := &envelope.RevokedError{Code: "KeyVaultNotFound", VaultURI: otherVault, Reason: "the vault is gone"}
	vault.set(other)
	s, err := n.running()
	w.must(err)
	k.resume(s)
	refused(other)
	vault.set(errUnavailable)
	w.must(w.r.Stop(ctx, testCluster))
	w.must(w.r.Start(ctx, testCluster))
	refused(other)
}
