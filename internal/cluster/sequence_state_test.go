package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"

	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/envelope"
)

// resolve learns from the state which of two KEKs is in force after a crash.
func (k *seqKey) resolve(rt *rapid.T, inForce envelope.KEK) {
	if k.maybe != nil && inForce == *k.maybe {
		k.kek = *k.maybe
	}
	k.maybe = nil
	if inForce != k.kek {
		rt.Fatalf("the KEK in force is %+v, acknowledged is %+v", inForce, k.kek)
	}
}

// states compares what the runtime says of the keys with what the vaults say,
// and returns what is not so, or not yet.
func (w *seqWorld) states() string {
	ctx := context.Background()
	s, err := w.r.State(ctx, testCluster)
	w.must(err)
	w.cluster.resolve(w.rt, s.KEK)
	if w.maybeRun != nil {
		if *w.maybeRun != w.wanted && (s.Phase == Stopped) != *w.maybeRun {
			w.wanted = *w.maybeRun
		}
		w.maybeRun = nil
	}
	if !w.wanted {
		w.up = false
		if s.Phase != Stopped {
			return fmt.Sprintf("a stopped cluster is %+v", s)
		}
	} else if wrong := w.cluster.expect(w.keys, s.KeyVersion, s.Phase == Suspended, s.Phase == Running, s.Code, s.Reason); wrong != "" {
		return "the cluster " + wrong
	}
	up := w.wanted && s.Phase == Running
	if up && !w.up && w.own.was == nil {
		w.own.dark = true // it is asked for again
	}
	w.up = up
	d, err := w.r.DatabaseState(ctx, testCluster, "own")
	w.must(err)
	inForce := envelope.PlatformKEK()
	if d.Own {
		inForce = d.KEK
	}
	w.own.resolve(w.rt, inForce)
	if s.Key == envelope.KeySuspending || d.Key == envelope.KeySuspending {
		return "somebody is being suspended"
	}
	if !up {
		return "" // nobody asks for it
	}
	unreachable := d.Suspended && d.Code == "KeyVaultUnavailable"
	if wrong := w.own.expect(w.keys, d.KeyVersion, d.Suspended && !unreachable, !d.Suspended, d.Code, d.Reason); wrong != "" {
		return "the database " + wrong
	}
	return ""
}

// expect holds a state against the vault, and learns what is heard from it.
func (k *seqKey) expect(vaults *keys, version string, suspended, running bool, code, reason string) string {
	var verdict error
	if k.kek.Kind == envelope.KindCustomer {
		_, verdict = vaults.verdict(k.kek, version)
	}
	says := func(r *envelope.RevokedError) bool {
		return suspended && code == r.Code && strings.HasPrefix(reason, r.Reason)
	}
	var revoked *envelope.RevokedError
	wrong := fmt.Sprintf("runs: %v, is suspended: %v, because %q %s; the vault says %v, and said %v before", running, suspended, reason, code, verdict, k.was)
	switch {
	case verdict == nil:
		if !running {
			return wrong
		}
		if k.kek.Kind == envelope.KindCustomer && k.kek.KeyVersion == "" {
			if newest, err := vaults.verdict(k.kek, ""); err == nil && version != strconv.Itoa(newest) {
				return fmt.Sprintf("does not follow its key from version %s to %d", version, newest)
			}
		}
		k.was, k.dark = nil, false
	case errors.As(verdict, &revoked):
		if !says(revoked) {
			return wrong
		}
		k.was, k.dark = revoked, false
	case k.was != nil:
		if !says(k.was) {
			return wrong
		}
	case running == k.dark || suspended:
		return wrong
	}
	return ""
}

// bugs collects what the runtime itself calls a bug.
type bugs struct {
	mu   sync.Mutex
	said []string
}

func (b *bugs) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }
func (b *bugs) WithAttrs([]slog.Attr) slog.Handler           { return b }
func (b *bugs) WithGroup(string) slog.Handler                { return b }

func (b *bugs) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "BUG") {
		b.mu.Lock()
		defer b.mu.Unlock()
		text := r.Message
		r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
		b.said = append(b.said, text)
	}
	return nil
}
