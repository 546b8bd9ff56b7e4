package cli

import (
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kustos-io/kustos/internal/config"
)

// DrillOptions are the arguments of `kustos drill`.
type DrillOptions struct {
	Name       string // of the drill, or "all"
	Binary     string // this executable
	Product    string // its version
	JSON, HTML string // files of the report; "" for none
	// ProbeInterval is how often keys are probed; NoVaultHints leaves denial to it alone.
	ProbeInterval time.Duration
	NoVaultHints  bool
	Out           io.Writer
}

func newDrill(deps Deps) *cobra.Command {
	var opts DrillOptions
	cmd := &cobra.Command{
		Use:   "drill NAME|all",
		Short: "Rehearse the life of a key on a fresh temporary instance and report what was seen",
		Long: "Rehearse the life of a key on a fresh temporary instance, over the public APIs, and report what was seen:\n" +
			"rotation, revocation, identity, restoration, vault-loss, shredding, or all of them in under a minute.\n" +
			"docs/drills/ explains each.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := config.CheckProbeInterval(opts.ProbeInterval); err != nil {
				return err
			}
			binary, err := os.Executable()
			if err != nil {
				return err
			}
			opts.Name, opts.Binary, opts.Product, opts.Out = args[0], binary, deps.Version.Product, cmd.OutOrStdout()
			return deps.Drill(cmd.Context(), opts)
		},
	}
	cmd.Flags().StringVar(&opts.JSON, "json", "", "write the report to this file as JSON")
	cmd.Flags().StringVar(&opts.HTML, "html", "", "write the report to this file as a self-contained page")
	cmd.Flags().DurationVar(&opts.ProbeInterval, "key-probe-interval", 500*time.Millisecond, "how often keys are probed; a server's default is 20s")
	cmd.Flags().BoolVar(&opts.NoVaultHints, "no-vault-hints", false, "vaults do not ask for a probe at once after a change; the interval alone notices it")
	return cmd
}
