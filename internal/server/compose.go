package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kustos-io/kustos/internal/arm/deploy"
	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/clock"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/config"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/durable"
	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/envelope/keyvault"
	"github.com/kustos-io/kustos/internal/faults"
	"github.com/kustos-io/kustos/internal/kql"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/vault"
)

// Product is the version that `kustos version` and `.show version` print.
const Product = "0.1.0"

// DataFormat is the number of the on-disk format; docs/format.md lists the changes.
const DataFormat = 1

// Run serves one data folder until ctx ends. When it is ready it writes
// connection.json and prints to out the two lines a person needs next; it logs
// JSON to errs. It returns nil after a clean stop.
func Run(ctx context.Context, cfg config.Config, out, errs io.Writer) (err error) {
	level := slog.LevelInfo
	if cfg.Debug {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewJSONHandler(errs, &slog.HandlerOptions{Level: level}))
	disableCoreDumps(log)
	locked := lockMemory(log)
	if !overwritesFreed() {
		log.Warn("freed memory is not overwritten: rows can stay in it after a suspension; start with GODEBUG=" + strings.Join(memorySettings(), ","))
	}
	in, asleep, err := openOrSealed(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.close()) }()
	return newWarden(cfg, in, log, out, locked).run(ctx, asleep)
}

// parts are the composed planes, bottom-up.
type parts struct {
	cfg      config.Config
	in       *instance
	log      *slog.Logger
	server   *Server
	runtime  *cluster.Runtime
	platform *envelope.Platform
	customer *keyvault.Vaults
	audit    *audit.Log
	vault    *vault.Service
	links    deploy.Links // nil refuses every link
	tenants  tenants
	upkeep   upkeep
	pageKey  []byte
	// store and barrier are the instance's as long as it stays unsealed.
	store   store.Store
	barrier *barrier.Barrier
	clock   *clock.Clock
	// now is the clock of all planes, tokens that of tokens.
	now, tokens func() time.Time
	faults      *faults.Injector
	control     *controller // nil when it is off

	onReady func()      // called once, before the announcement
	ready   atomic.Bool // connection.json may be written
	writing sync.Mutex
}

// compose builds every part by hand, each from the ones below it. Nothing runs
// yet but the listeners' sockets, whose addresses the parts need.
func compose(ctx context.Context, cfg config.Config, in *instance, log *slog.Logger) (_ *parts, err error) {
	p := &parts{cfg: cfg, in: in, log: log, pageKey: directory.NewPageKey(), store: in.store, barrier: in.barrier, onReady: func() {}}
	defer func() {
		if err != nil {
			p.abandon()
		}
	}()
	// What was superseded or deleted just before a crash.
	if err := store.Scrub(ctx, in.store); err != nil {
		log.Warn("what was deleted is not scrubbed from the store's log yet", "error", err)
	}
	if p.clock, err = openClock(ctx, in.store, cfg.Clock); err != nil {
		return nil, err
	}
	now, tokens := p.clock.Now, time.Now
	if cfg.ClockTokens {
		tokens = now
	}
	p.now, p.tokens = now, tokens
	ca, err := OpenCA(ctx, in.store, time.Now)
	if err != nil {
		return nil, err
	}
	if err := durable.Replace(filepath.Join(in.dir, caName), ca.PEM(), 0o644); err != nil {
		return nil, fmt.Errorf("write ca file: %w", err)
	}
	p.server, err = Listen(Options{ProxyAddr: cfg.ProxyAddr, DirectAddr: cfg.DirectAddr, CA: ca, WithProxyUser: directory.WithProxyUser, Log: log})
	if err != nil {
		return nil, err
	}
	if p.control, err = listenControl(cfg.Control); err != nil {
		return nil, err
	}
	p.faults = faults.New(faults.Config{Log: log, Name: p.clusterName, Now: tokens})
	p.audit, err = audit.Open(ctx, audit.Config{Dir: audit.Dir(in.dir), Instance: in.barrier.InstanceID(), Store: in.store, Sealer: in.barrier,
		SegmentBytes: cfg.AuditSegmentBytes, Now: now, Log: log})
	if err != nil {
		return nil, err
	}
	if err := p.openTenants(ctx); err != nil {
		return nil, err
	}
	first := p.tenants.first()
	p.vault = vault.New(vault.Config{Store: in.store, Verifier: &p.tenants, Authorizer: &p.tenants, Assignments: &p.tenants, Audit: p.audit, Now: now, Advanced: p.clock.Advanced, Log: log, TenantID: first.ID,
		// Clusters are trusted by the connection, whatever identity they come with.
		Trusted: p.server.FromClient})
	// The Kusto side reaches every vault as a client, our own through our own listener.
	external, err := externalCredential(cfg.AllowedVaultHosts)
	if err != nil {
		return nil, err
	}
	p.customer = keyvault.New(keyvault.Config{Tokens: &p.tenants, Client: p.vaultClient(cfg.AllowedVaultHosts, &p.tenants), AllowedHosts: cfg.AllowedVaultHosts, External: external, Log: log})
	if p.platform, err = envelope.NewPlatform(ctx, in.store); err != nil {
		return nil, err
	}
	p.runtime, err = cluster.Open(ctx, cluster.Config{
		Dir: in.dir, Store: in.store, Wrappers: envelope.Wrappers{Platform: p.platform, Customer: p.customer}, Engine: &engine.Process{Log: log},
		EngineConfig: engine.Config{MemoryLimit: cfg.EngineMemory, RequireConfinement: cfg.RequireConfinement, Prelude: kql.Prelude()},
		Hot:          cluster.HotPolicy{Bytes: cfg.HotTierBytes}, ProbeInterval: cfg.KeyProbeInterval, Now: now, Advanced: p.clock.Advanced, Disk: p.faults, Log: log, Audit: p.audit, OnState: p.clusterState, OnKey: p.keyState, OnDatabaseKey: p.databaseKeyState, OnReencryption: p.reencryption, Forget: p.forget,
	})
	if err != nil {
		return nil, err
	}
	if !cfg.NoVaultHints {
		p.vault.Hint = func(name string) { p.runtime.HintVault(name + suffixVault) }
	}
	if p.links, err = templateLinks(cfg.TemplateRoot); err != nil {
		return nil, err
	}
	for _, t := range p.tenants.all() {
		if err := t.compose(ctx, p); err != nil {
			return nil, err
		}
	}
	p.server.SetPlanes(p.planesOf(p.vault.Handler()))
	return p, nil
}

// vaultClient is the client of the key path, which fault rules may disturb.
func (p *parts) vaultClient(hosts []string, signer faults.Signer) *http.Client {
	client := p.server.Client(hosts)
	client.Transport = p.faults.Transport(client.Transport, signer)
	return client
}

// clusterName is for fault rules that name a cluster.
func (p *parts) clusterName(ctx context.Context, id string) string {
	spec, err := p.runtime.Spec(ctx, id)
	if err != nil {
		return ""
	}
	return spec.Name
}

// clusterScope is the ARM id that a cluster has now, for the audit log.
func (p *parts) clusterScope(spec cluster.Spec) string {
	_, id, err := p.tenants.resourceOfCluster(context.Background(), spec.ID)
	if err != nil {
		p.log.Error("a cluster's resource id cannot be read", "cluster", spec.Name, "error", err)
	}
	return id
}

// clusterState opens the loopback listener of a cluster that runs and closes
// that of one that does not, and rewrites connection.json.
func (p *parts) clusterState(spec cluster.Spec, phase cluster.Phase) {
	host := hostOf(spec.URI)
	event := audit.Event{Operation: "cluster/" + strings.ToLower(string(phase)), Result: audit.Allowed, Scope: p.clusterScope(spec), Actor: audit.Actor{FirstParty: "cluster " + spec.ID}}
	if err := p.audit.Record(context.Background(), event); err != nil {
		p.log.Error("a cluster's change of state is not in the audit log", "cluster", spec.Name, "error", err)
	}
	if phase != cluster.Running {
		p.server.CloseCluster(host)
	} else if _, err := p.server.OpenCluster(spec.Name, host); err != nil {
		p.log.Warn("no loopback listener for a cluster", "cluster", spec.Name, "error", err)
	}
	if err := p.writeConnection(); err != nil {
		p.log.Error("write connection file", "error", err)
	}
}

// keyState records every change of state of a cluster's key.
func (p *parts) keyState(spec cluster.Spec, from, to envelope.KeyState, cause error) {
	p.recordKeyState(spec, "clusterkey/"+string(to), "was "+string(from), cause)
}

// databaseKeyState does so for the own key of a database.
func (p *parts) databaseKeyState(spec cluster.Spec, database string, from, to envelope.KeyState, cause error) {
	p.recordKeyState(spec, "databasekey/"+string(to), "database "+database+" was "+string(from), cause)
}

func (p *parts) recordKeyState(spec cluster.Spec, operation, detail string, cause error) {
	event := audit.Event{Operation: operation, Result: audit.Allowed, Scope: p.clusterScope(spec), Actor: audit.Actor{FirstParty: "cluster " + spec.ID}, Detail: detail}
	var revoked *envelope.RevokedError
	if errors.As(cause, &revoked) {
		event.Code = revoked.Code
	}
	if err := p.audit.Record(context.Background(), event); err != nil {
		p.log.Error("a change of a key's state is not in the audit log", "cluster", spec.Name, "error", err)
	}
}

// abandon releases what a composition that failed had opened.
func (p *parts) abandon() {
	if p.server != nil {
		_, _ = p.server.proxy.Close(), p.server.direct.Close()
	}
	p.control.close()
	if p.audit != nil {
		_ = p.audit.Close() // the error that matters is the one that led here
	}
	if p.platform != nil {
		p.platform.Close()
	}
}

// run serves until ctx ends.
func (p *parts) run(ctx context.Context, out io.Writer) error {
	served := make(chan error, 1)
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go func() { served <- p.server.Serve(serving) }()
	p.upkeep.begin(serving)
	err := p.upkeep.while(func(run func(func(context.Context))) error {
		run(p.vault.Run) // rotations and purges that are due
		for _, t := range p.tenants.all() {
			run(t.directory.Run) // signing keys, and sign-ins that are over
		}
		return nil
	})
	// From here on the vault answers, so clusters can unwrap their keys.
	err = errors.Join(err, p.runtime.StartAll(ctx), p.tenants.resume(ctx))
	p.control.serve(p, p.faults)
	if err == nil {
		p.onReady()
		err = p.announce(out)
	}
	if err == nil {
		select {
		case <-ctx.Done():
			p.log.Info("stopping")
		case err = <-served:
			served <- nil
		}
	}
	p.control.close()
	// Operations and clusters end before the listeners: what they still do needs the vault.
	p.upkeep.close()
	p.tenants.closeOperations()
	err = errors.Join(err, p.runtime.Close())
	stop()
	err = errors.Join(err, <-served)
	p.upkeep.wait()
	p.platform.Close()
	return errors.Join(err, p.audit.Close())
}
