package server

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/kustos-io/kustos/internal/clock"
	"github.com/kustos-io/kustos/internal/config"
	"github.com/kustos-io/kustos/internal/control"
	"github.com/kustos-io/kustos/internal/faults"
	"github.com/kustos-io/kustos/internal/store"
)

// The clock's offset lies in the store: a restart must not go back in time.
const (
	clockBucket = "server.clock"
	clockKey    = "offset"
)

// openClock makes the clock that the flag asks for. A data folder whose clock
// was moved opens with a manual clock only: under the real one keys that were
// purged as overdue would be gone before their time.
func openClock(ctx context.Context, s store.Store, mode config.ClockMode) (*clock.Clock, error) {
	var offset time.Duration
	err := s.View(ctx, func(tx store.Tx) (err error) {
		offset, err = store.GetJSON[time.Duration](tx, clockBucket, clockKey)
		return err
	})
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return nil, fmt.Errorf("read clock: %w", err)
	case mode == config.ManualClock:
		return clock.Manual(offset), nil
	case offset != 0:
		return nil, fmt.Errorf("the clock of this data folder was moved forward by %s; start it with --clock manual", offset)
	}
	return clock.Real(), nil
}

// keepOffset makes the clock's offset durable.
func keepOffset(ctx context.Context, s store.Store, offset time.Duration) error {
	err := s.Update(ctx, func(tx store.Tx) error { return store.PutJSON(tx, clockBucket, clockKey, offset) })
	if err != nil {
		return fmt.Errorf("keep clock: %w", err)
	}
	return nil
}

// controller is the listener of the control API, nil when it is off.
type controller struct {
	listener net.Listener
	token    string
	server   *http.Server
}

// listenControl opens the control API's listener with a fresh token.
func listenControl(addr string) (*controller, error) {
	if addr == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for the control API: %w", err)
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // crypto/rand.Read never fails: it ends the program instead
	return &controller{listener: l, token: base64.RawURLEncoding.EncodeToString(secret[:])}, nil
}

// url is the address in connection.json, "" when the API is off.
func (c *controller) url() string {
	if c == nil {
		return ""
	}
	return "http://" + c.listener.Addr().String()
}

func (c *controller) bearer() string {
	if c == nil {
		return ""
	}
	return c.token
}

// serve answers until close.
func (c *controller) serve(p *parts, injector *faults.Injector) {
	if c == nil {
		return
	}
	handler := control.New(control.Config{
		Clock: p.clock, Faults: injector, Token: c.token, Log: p.log,
		Keep: func(r *http.Request, offset time.Duration) error { return keepOffset(r.Context(), p.store, offset) },
		Advanced: func(r *http.Request) {
			if err := p.vault.Sweep(r.Context()); err != nil { // what became due is done when the caller hears of it
				p.log.ErrorContext(r.Context(), "sweep of vaults", "error", err)
			}
		},
	})
	c.server = &http.Server{Handler: handler, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readHeaderTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug)}
	p.log.Warn("control API is on: whoever holds its token can move the clock and inject faults", "control", c.url())
	go func() {
		err := c.server.Serve(c.listener)
		p.log.Debug("control listener ended", "error", err)
	}()
}

// close ends the listener and what it serves.
func (c *controller) close() {
	switch {
	case c == nil:
	case c.server != nil:
		_ = c.server.Close()
	default:
		_ = c.listener.Close()
	}
}
