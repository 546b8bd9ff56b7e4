package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/barrier/seals"
	"github.com/kustos-io/kustos/internal/config"
	"github.com/kustos-io/kustos/internal/operator"
)

// warden runs the composed planes, takes them down when an operator seals the
// server, and composes them anew when one unseals it. It is the operator's
// Backend.
type warden struct {
	cfg    config.Config
	in     *instance
	log    *slog.Logger
	out    io.Writer
	locked bool // memory

	// turn serialises what operators do.
	turn sync.Mutex
	// unsealed is the running planes, nil while sealed.
	unsealed atomic.Pointer[parts]
	seals    chan order
	unseals  chan order
}

// order is a call of an operator that the loop carries out.
type order struct {
	secret []byte
	done   chan error // capacity 1
}

var _ operator.Backend = (*warden)(nil)

func newWarden(cfg config.Config, in *instance, log *slog.Logger, out io.Writer, locked bool) *warden {
	return &warden{cfg: cfg, in: in, log: log, out: out, locked: locked, seals: make(chan order), unseals: make(chan order)}
}

// run serves until ctx ends; asleep is why the instance is still sealed, nil when
// it is open. It opens the operator's socket first, so that it is there in every
// state.
func (w *warden) run(ctx context.Context, asleep error) error {
	if asleep != nil { // before the socket, whose appearance is the sign that it runs
		w.log.WarnContext(ctx, "sealed from the start: nothing is answered until an operator unseals", "error", asleep)
	}
	socket, err := operator.Listen(w.in.dir)
	if err != nil {
		return err
	}
	admin, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- operator.Serve(admin, socket, w, w.log) }()
	err = w.loop(ctx, asleep)
	stop()
	return errors.Join(err, <-ended)
}

func (w *warden) loop(ctx context.Context, asleep error) (err error) {
	var leaves *CA       // none before the first unsealing: the CA's key is sealed too
	var unsealing *order // who waits for the planes to be up
	if asleep != nil {
		fmt.Fprintf(w.out, "Sealed: %v.\nNext: kustos operator unseal --data %s\n", asleep, w.in.dir)
		if unsealing, err = w.waitSealed(ctx, nil); err != nil || unsealing == nil {
			return err
		}
	}
	for {
		young, sealing, err := w.serve(ctx, unsealing)
		switch {
		case young == nil && unsealing != nil: // the planes did not come up: sealed again
			w.log.ErrorContext(ctx, "start after unseal", "error", err)
			sealing = unsealing
		case err != nil || sealing == nil:
			return err
		default:
			leaves = young
		}
		err = errors.Join(err, w.in.shut())
		runtime.GC() // what was wiped is zero; what could not be is let go of now
		debug.FreeOSMemory()
		w.log.WarnContext(ctx, "sealed: nothing is answered until an operator unseals")
		sealing.done <- err
		if unsealing, err = w.waitSealed(ctx, leaves); err != nil || unsealing == nil {
			return err
		}
	}
}

// serve composes and runs the planes until ctx ends, or until an operator
// seals: then it returns that order and the certificates to go on with.
func (w *warden) serve(ctx context.Context, unsealing *order) (leaves *CA, sealing *order, err error) {
	p, err := compose(ctx, w.cfg, w.in, w.log)
	if err != nil {
		return nil, nil, err
	}
	w.cfg.ProxyAddr, w.cfg.DirectAddr = p.server.ProxyAddr(), p.server.DirectAddr() // the same after unseal
	waiting := unsealing != nil
	p.onReady = func() {
		if !waiting {
			return
		}
		waiting = false
		w.record(p, "operator/unseal", w.in.seal)
		w.unsealed.Store(p)
		unsealing.done <- nil
	}
	if unsealing == nil {
		w.unsealed.Store(p)
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	ordered := make(chan *order, 1)
	go func() {
		defer close(ordered)
		select {
		case o := <-w.seals:
			w.record(p, "operator/seal", "")
			stop()
			ordered <- &o
		case <-running.Done():
		}
	}()
	err = p.run(running, w.out)
	stop()
	w.unsealed.Store(nil)
	sealing = <-ordered
	if waiting {
		unsealing.done <- fmt.Errorf("the server stopped before it was ready: %w", errors.Join(err, context.Cause(ctx)))
	}
	if sealing != nil && err != nil {
		w.log.ErrorContext(ctx, "stop before sealing", "error", err)
		err = nil // sealed all the same: keys are wiped whatever went wrong
	}
	return p.server.ca.leavesOnly(), sealing, err
}

// waitSealed answers 503 to everything until an operator unseals the barrier.
// A nil order is the end of ctx.
func (w *warden) waitSealed(ctx context.Context, leaves *CA) (*order, error) {
	refusing, err := Listen(Options{ProxyAddr: w.cfg.ProxyAddr, DirectAddr: w.cfg.DirectAddr, CA: leaves, Planes: sealedPlanes(w.log), WithProxyUser: keepContext, Log: w.log})
	if err != nil {
		return nil, err
	}
	w.cfg.ProxyAddr, w.cfg.DirectAddr = refusing.ProxyAddr(), refusing.DirectAddr() // the same after unseal
	serving, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- refusing.Serve(serving) }()
	for {
		select {
		case err := <-served:
			return nil, err // also at the end of ctx
		case o := <-w.unseals:
			err := w.in.unseal(ctx, w.in.seal, o.secret)
			if err == nil {
				err = w.in.openState(ctx)
			}
			if err != nil {
				w.log.WarnContext(ctx, "unseal was refused", "error", err)
				o.done <- errors.Join(err, w.in.shut())
				continue
			}
			stop()
			return &o, <-served
		}
	}
}

// record writes an operator's deed into the audit log.
func (w *warden) record(p *parts, operation, detail string) {
	e := audit.Event{Operation: operation, Result: audit.Allowed, Detail: detail, Actor: audit.Actor{FirstParty: "operator"}}
	if err := p.audit.Record(context.Background(), e); err != nil {
		w.log.Error("an operator's deed is not in the audit log", "operation", operation, "error", err)
	}
}

// Status is the state of the server.
func (w *warden) Status(context.Context) (operator.Status, error) {
	w.turn.Lock()
	defer w.turn.Unlock()
	s := operator.Status{Sealed: true, Seal: w.in.seal, NeedsSecret: w.needsSecret(), MemoryLocked: w.locked, PID: os.Getpid(), DataKeys: []uint32{}}
	var err error
	if s.InstanceID, err = barrier.InstanceID(w.in.dir); err != nil {
		return s, err
	}
	if p := w.unsealed.Load(); p != nil {
		s.Sealed, s.DataKeys = false, p.barrier.KeyIDs()
	}
	return s, nil
}

func (w *warden) needsSecret() bool {
	return seals.NeedsSecret(w.in.seal) && os.Getenv(seals.PassphraseVariable) == ""
}

// command hands an order to the loop and waits for its end.
func command(ctx context.Context, to chan order, secret []byte) error {
	o := order{secret: secret, done: make(chan error, 1)}
	select {
	case to <- o:
		return <-o.done
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Seal stops every plane and wipes the keys.
func (w *warden) Seal(ctx context.Context) error {
	w.turn.Lock()
	defer w.turn.Unlock()
	if w.unsealed.Load() == nil {
		return operator.ErrSealed
	}
	return command(ctx, w.seals, nil)
}

// Unseal opens the barrier and brings every plane up.
func (w *warden) Unseal(ctx context.Context, secret operator.Secret) error {
	w.turn.Lock()
	defer w.turn.Unlock()
	if w.unsealed.Load() != nil {
		return operator.ErrNotSealed
	}
	if len(secret) == 0 {
		secret = nil
		if w.needsSecret() {
			return errors.New("this seal wants a passphrase")
		}
	}
	return command(ctx, w.unseals, secret)
}

// Rekey makes a new root key under the seal of spec, or under the present one.
func (w *warden) Rekey(ctx context.Context, spec string, secret operator.Secret) error {
	w.turn.Lock()
	defer w.turn.Unlock()
	p := w.unsealed.Load()
	if p == nil {
		return operator.ErrSealed
	}
	spec, err := config.ParseSeal(spec)
	if err != nil {
		return err
	}
	open := seals.Create // a new seal may be made
	if spec == "" {
		spec, open = w.in.seal, seals.Open
	}
	if len(secret) == 0 {
		secret = nil
		if seals.NeedsSecret(spec) && os.Getenv(seals.PassphraseVariable) == "" {
			return errors.New("this seal wants a passphrase")
		}
	}
	seal, err := open(ctx, seals.Request{Spec: spec, Instance: p.barrier.InstanceID(), Secret: secret})
	if err != nil {
		return err
	}
	defer seal.Close()
	if err := p.barrier.Rekey(ctx, seal); err != nil {
		return err
	}
	w.in.seal = spec
	w.record(p, "operator/rekey", spec)
	w.log.WarnContext(ctx, "the root key was changed; the next start needs this seal", "seal", spec)
	return errors.Join(p.audit.Flush(ctx), p.writeConnection())
}

// Rotate makes a new data key of the barrier.
func (w *warden) Rotate(ctx context.Context) (uint32, error) {
	w.turn.Lock()
	defer w.turn.Unlock()
	p := w.unsealed.Load()
	if p == nil {
		return 0, operator.ErrSealed
	}
	if err := p.barrier.Rotate(); err != nil {
		return 0, err
	}
	ids := p.barrier.KeyIDs()
	w.record(p, "operator/rotate", fmt.Sprintf("data key %d", ids[len(ids)-1]))
	return ids[len(ids)-1], p.audit.Flush(ctx)
}

// AuditTail reads the audit log.
func (w *warden) AuditTail(ctx context.Context, filter audit.Filter, n int) ([]audit.Event, error) {
	p := w.unsealed.Load()
	if p == nil {
		return nil, operator.ErrSealed
	}
	if err := p.audit.Flush(ctx); err != nil {
		return nil, err
	}
	events, err := audit.Tail(audit.Dir(w.in.dir), p.barrier, filter, n)
	if events == nil {
		events = []audit.Event{}
	}
	return events, err
}

// AuditVerify verifies the audit log.
func (w *warden) AuditVerify(ctx context.Context) (audit.Report, error) {
	p := w.unsealed.Load()
	if p == nil {
		return audit.Report{}, operator.ErrSealed
	}
	head, err := audit.ReadHead(ctx, p.store)
	if err != nil {
		return audit.Report{}, err
	}
	return audit.Verify(audit.Dir(w.in.dir), p.barrier.InstanceID(), p.barrier, head)
}
