package cluster

import (
	"context"
	"errors"
	"strconv"

	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/envelope"
)

func (w *seqWorld) someKEK(vaults ...string) envelope.KEK {
	if rapid.IntRange(0, 4).Draw(w.rt, "platform") == 0 {
		return envelope.PlatformKEK()
	}
	kek := envelope.KEK{Kind: envelope.KindCustomer, VaultURI: rapid.SampledFrom(vaults).Draw(w.rt, "vault"), KeyName: rapid.SampledFrom([]string{"k", "l"}).Draw(w.rt, "key"),
		Identity: envelope.Identity{ObjectID: rapid.SampledFrom([]string{"x", "y"}).Draw(w.rt, "identity")}}
	if rapid.Bool().Draw(w.rt, "pinned") {
		w.keys.change(func() { kek.KeyVersion = strconv.Itoa(w.keys.vaults[kek.VaultURI].keys[kek.KeyName].versions) })
	}
	return kek
}

// possible is what a change of KEK must come to by what the vaults say.
func (w *seqWorld) possible(old envelope.KEK, version string, next envelope.KEK) bool {
	if old.Kind == envelope.KindCustomer {
		_, err := w.keys.verdict(old, version)
		if errors.Is(err, envelope.ErrRevoked) && old.OtherWayTo(next) {
			_, err = w.keys.verdict(next, version)
		}
		if err != nil {
			return false
		}
	}
	if next.Kind == envelope.KindCustomer {
		if _, err := w.keys.verdict(next, next.KeyVersion); err != nil {
			return false
		}
	}
	return true
}

func (w *seqWorld) changeKEK(next envelope.KEK) (known, unknown func()) {
	s, err := w.r.State(context.Background(), testCluster)
	w.must(err)
	possible := w.possible(s.KEK, s.KeyVersion, next)
	if err := w.r.ChangeKEK(context.Background(), testCluster, next); (err == nil) != possible {
		w.rt.Fatalf("change from %+v to %+v: %v; it should work: %v", s.KEK, next, err, possible)
	}
	return w.changed(&w.cluster, next, possible)
}

func (w *seqWorld) changed(k *seqKey, next envelope.KEK, worked bool) (known, unknown func()) {
	if !worked {
		return nil, nil
	}
	return func() { k.kek = next }, func() { k.maybe = &next }
}

func (w *seqWorld) switchSome() (known, unknown func()) {
	return w.changeKEK(w.someKEK(vaultA, vaultB))
}

func (w *seqWorld) switchOwn() (known, unknown func()) {
	next := w.someKEK(vaultOwn, vaultA)
	d, err := w.r.DatabaseState(context.Background(), testCluster, "own")
	w.must(err)
	old := envelope.PlatformKEK()
	if d.Own {
		old = d.KEK
	}
	possible := w.possible(old, d.KeyVersion, next)
	if err := w.r.ChangeDatabaseKEK(context.Background(), testCluster, "own", next); (err == nil) != possible {
		w.rt.Fatalf("change of the database from %+v to %+v: %v; it should work: %v", old, next, err, possible)
	}
	return w.changed(&w.own, next, possible)
}

// rotate makes a new version of a key that is in force, or of another one.
func (w *seqWorld) rotate() {
	kek := w.cluster.kek
	if rapid.Bool().Draw(w.rt, "own") {
		kek = w.own.kek
	}
	if kek.Kind == envelope.KindCustomer {
		w.keys.change(func() { w.keys.vaults[kek.VaultURI].keys[kek.KeyName].versions++ })
	}
}

// someVault is the vault of a key in force, with that key.
func (w *seqWorld) someVault() (v *keyVault, key *vaultKey, identity string) {
	kek := w.cluster.kek
	if w.own.kek.Kind == envelope.KindCustomer && rapid.IntRange(0, 2).Draw(w.rt, "own") > 0 {
		kek = w.own.kek
	}
	if kek.Kind != envelope.KindCustomer {
		return nil, nil, ""
	}
	v = w.keys.vaults[kek.VaultURI]
	return v, v.keys[kek.KeyName], kek.Identity.ObjectID
}

func (w *seqWorld) revokeSome() {
	v, key, identity := w.someVault()
	if v == nil {
		return
	}
	cause := rapid.SampledFrom([]string{"version", "key", "vault", "permission", "identity", "firewall", "silence"}).Draw(w.rt, "cause")
	w.trace = append(w.trace, "("+cause+")")
	w.keys.change(func() {
		switch cause {
		case "version":
			key.disabled[rapid.IntRange(1, key.versions).Draw(w.rt, "version")] = true
		case "key":
			key.deleted = true
		case "vault":
			v.deleted = true
		case "permission":
			v.refused[identity] = true
		case "identity":
			w.keys.gone[identity] = true
		case "firewall":
			v.closed = true
		case "silence":
			v.silent = true
		}
	})
}

func (w *seqWorld) restoreSome() {
	v, key, identity := w.someVault()
	if v == nil {
		return
	}
	w.keys.change(func() {
		clear(key.disabled)
		key.deleted, v.deleted, v.closed, v.silent = false, false, false, false
		delete(v.refused, identity)
		delete(w.keys.gone, identity)
	})
}

func (w *seqWorld) restoreAll() {
	w.keys.change(func() {
		fresh := newKeys()
		for uri, v := range w.keys.vaults {
			for name, key := range v.keys {
				fresh.vaults[uri].keys[name].versions = key.versions
			}
		}
		w.keys.vaults, w.keys.gone = fresh.vaults, fresh.gone
	})
}
