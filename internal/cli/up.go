package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/kustos-io/kustos/internal/config"
)

func newUp(deps Deps) *cobra.Command {
	var (
		proxy, listen, seal, rules, templates string
		control, clock                        string
		allow, limits, inert                  []string
		probe                                 time.Duration
		memory, hot, segment                  int64
		confine, debug, clockTokens, noHints  bool
	)
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run the server in the foreground until SIGTERM or Ctrl-C",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Default()
			if err != nil {
				return err
			}
			if cfg.DataDir, err = dataDir(cmd); err != nil {
				return err
			}
			if cfg.Seal, err = config.ParseSeal(seal); err != nil {
				return err
			}
			cfg.ProxyAddr, cfg.DirectAddr, cfg.CMKRules, cfg.AllowedVaultHosts = proxy, listen, config.CMKRules(rules), allow
			cfg.KeyProbeInterval, cfg.EngineMemory, cfg.RequireConfinement, cfg.Debug = probe, memory<<20, confine, debug
			cfg.NoVaultHints, cfg.HotTierBytes, cfg.AuditSegmentBytes = noHints, hot, segment
			cfg.Control, cfg.Clock, cfg.ClockTokens = control, config.ClockMode(clock), clockTokens
			cfg.TemplateRoot, cfg.InertProviders = templates, inert
			if cfg.RequestLimits, err = config.ParseRequestLimits(limits); err != nil {
				return err
			}
			if err := cfg.Validate(); err != nil {
				return err
			}
			return deps.Up(cmd.Context(), cfg, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&proxy, "proxy", "127.0.0.1:8400", "loopback address of the HTTPS proxy; port 0 picks a free one")
	f.StringVar(&listen, "listen", "127.0.0.1:8443", "loopback address of the direct TLS listener; port 0 picks a free one")
	f.StringVar(&seal, "seal", "", "file:PATH, passphrase, pkcs11:ADDRESS or vault:https://HOST/keys/NAME (default file:$XDG_STATE_HOME/kustos/seals/<instance-id>)")
	f.StringVar(&rules, "cmk-rules", string(config.RulesCurrent), "rules for customer-managed keys: current, or 2020 for the article's own")
	f.StringSliceVar(&allow, "allow-vault-host", nil, "host that keyVaultUri may name besides *.vault.azure.net, for example a real vault behind another name; repeatable")
	f.StringVar(&templates, "template-root", "", "folder whose files linked templates may name as https://templates.localhost/…")
	f.StringSliceVar(&inert, "inert-provider", nil, "namespace that is not built whose resources are kept as marked records that do nothing, for example Microsoft.Network; repeatable")
	f.StringSliceVar(&limits, "request-limits", nil, "reads=N, writes=N, deletes=N: Resource Manager requests per hour, principal and subscription before 429 (default: counted, never refused)")
	f.DurationVar(&probe, "key-probe-interval", 20*time.Second, "how often a customer's key is probed")
	f.BoolVar(&noHints, "no-vault-hints", false, "our own vaults do not ask for a probe at once after a change; the interval alone notices it")
	f.StringVar(&control, "control", "", "loopback address of the control API that moves the clock and injects faults; port 0 picks a free one (default: none)")
	f.StringVar(&clock, "clock", string(config.RealClock), "real, or manual: real time plus what the control API advanced it by")
	f.BoolVar(&clockTokens, "clock-tokens", false, "token lifetimes follow the manual clock too")
	f.Int64Var(&memory, "engine-memory", 0, "memory limit of one cluster's engine in MiB (default: 1024)")
	f.Int64Var(&hot, "hot-tier-bytes", 512<<20, "most bytes of one cluster's rows in compressed in-memory tables, for what is queried again and again; 0 keeps none")
	f.Int64Var(&segment, "audit-segment-bytes", 16<<20, "how large a file of the audit log may become before the next one is begun")
	f.BoolVar(&confine, "require-confinement", false, "refuse to run an engine that cannot be fully confined")
	f.BoolVar(&debug, "debug", false, "log at debug level")
	return cmd
}
