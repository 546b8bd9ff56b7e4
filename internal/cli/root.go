package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/config"
	"github.com/kustos-io/kustos/internal/connection"
	"github.com/kustos-io/kustos/internal/fsck/report"
)

// Deps are the parts that main hands in.
type Deps struct {
	// Up runs a server until ctx ends. It writes what a person needs to out and logs to errs.
	Up func(ctx context.Context, cfg config.Config, out, errs io.Writer) error
	// Engine is the engine child; it is started by the server only.
	Engine func(ctx context.Context) error
	// Inspect describes a file or folder on disk without any key.
	Inspect func(path string, asJSON bool, out io.Writer) error
	// InspectVerify says whether the data of a stopped folder can be recovered.
	InspectVerify func(ctx context.Context, cfg config.Config, asJSON bool, out io.Writer) error
	// Tour runs the story on a fresh temporary instance of binary.
	Tour func(ctx context.Context, opts TourOptions) error
	// Drill rehearses the life of a key on fresh temporary instances.
	Drill func(ctx context.Context, opts DrillOptions) error
	// AuditTail and AuditVerify read the audit log of a folder that no server runs on.
	AuditTail   func(ctx context.Context, cfg config.Config, filter audit.Filter, n int) ([]audit.Event, error)
	AuditVerify func(ctx context.Context, cfg config.Config) (audit.Report, error)
	// Fsck verifies a stopped folder; withoutSeal checks only what needs no key.
	Fsck func(ctx context.Context, cfg config.Config, withoutSeal bool) (report.Report, error)
	// GiveUp lets a database of a stopped folder open without a log segment.
	GiveUp func(ctx context.Context, cfg config.Config, segment string, out io.Writer) error
	// Backup copies a data folder to a new one, Restore puts it back.
	Backup  func(ctx context.Context, dir, to string, out io.Writer) error
	Restore func(ctx context.Context, from, dir string, out io.Writer) error
	// Manager makes a client of the server that wrote a connection file.
	Manager func(c connection.File) (Manager, error)
	// Version is what `kustos version` prints.
	Version Version
}

// TourOptions are the flags of `kustos tour`.
type TourOptions struct {
	Binary   string // this executable
	Keep     bool   // leave the instance's folder in place
	DataSets string // folder of the npm package vega-datasets, "" for the embedded set
	Out      io.Writer
	Progress bool // show progress on a terminal
}

// Root builds the command tree.
func Root(deps Deps) *cobra.Command {
	root := &cobra.Command{
		Use:           "kustos",
		Short:         "A self-hosted, Azure-compatible data explorer whose data is encrypted under its customer's own key",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().String("data", "", "data folder (default $KUSTOS_DATA, else $XDG_DATA_HOME/kustos)")
	root.AddCommand(newUp(deps), newEnv(), newRun(), newTour(deps), newDrill(deps), newInspect(deps), newFsck(deps), newBackup(deps), newRestore(deps), newClock(), newReencrypt(deps), newVersion(deps), newEngine(deps), newOperator(), newAudit(deps), newTenant(deps), newSubscription(deps))
	return root
}

// dataDir resolves --data, $KUSTOS_DATA and the default, in that order.
func dataDir(cmd *cobra.Command) (string, error) {
	if dir, err := cmd.Flags().GetString("data"); err != nil || dir != "" {
		return dir, err
	}
	if dir := os.Getenv("KUSTOS_DATA"); dir != "" {
		return dir, nil
	}
	cfg, err := config.Default()
	return cfg.DataDir, err
}

func newEngine(deps Deps) *cobra.Command {
	return &cobra.Command{
		Use: "engine", Hidden: true, Args: cobra.NoArgs, Short: "The engine child of a running server; started by it, never by hand",
		RunE: func(cmd *cobra.Command, _ []string) error { return deps.Engine(cmd.Context()) },
	}
}

func newInspect(deps Deps) *cobra.Command {
	var (
		asJSON, verify bool
		seal, clock    string
	)
	cmd := &cobra.Command{
		Use:   "inspect FILE|DIR",
		Short: "Show what is on disk: extents, write-ahead log, key ids, wrapped keys, sizes; never plaintext",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !verify {
				return deps.Inspect(args[0], asJSON, cmd.OutOrStdout())
			}
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			cfg, err := stoppedConfig(dir, seal)
			if err != nil {
				return err
			}
			cfg.Clock = config.ClockMode(clock)
			return deps.InspectVerify(cmd.Context(), cfg, asJSON, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&verify, "verify", false, "say of a stopped folder, with its seal, whether its data can be recovered and why")
	cmd.Flags().StringVar(&seal, "seal", "", "with --verify: seal of the folder, as for 'kustos up'")
	cmd.Flags().StringVar(&clock, "clock", string(config.RealClock), "with --verify: manual when the folder's clock was moved")
	return cmd
}

func newTour(deps Deps) *cobra.Command {
	var opts TourOptions
	cmd := &cobra.Command{
		Use:   "tour",
		Short: "Run the whole story on a fresh temporary instance and print the evidence",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			binary, err := os.Executable()
			if err != nil {
				return err
			}
			opts.Binary, opts.Out, opts.Progress = binary, cmd.OutOrStdout(), isTerminal(cmd.OutOrStdout())
			return deps.Tour(cmd.Context(), opts)
		},
	}
	cmd.Flags().BoolVar(&opts.Keep, "keep", false, "leave the instance's folder in place")
	cmd.Flags().StringVar(&opts.DataSets, "datasets", "", "folder of the npm package vega-datasets (default: a small embedded set)")
	return cmd
}

// isTerminal reports whether w is a character device.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
