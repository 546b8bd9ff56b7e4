package cli

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kustos-io/kustos/internal/fsck/report"
	"github.com/kustos-io/kustos/internal/operator"
)

func newFsck(deps Deps) *cobra.Command {
	var (
		seal, giveUp        string
		withoutSeal, asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "fsck [DIR]",
		Short: "Verify everything on disk and say what is wrong, of a stopped folder or while its server runs",
		Long: "Verify every value of the state, the audit log, and every chunk and frame of the clusters.\n\n" +
			"While a server runs it does the work, with the keys that its clusters have: rows under a customer's key are verified as well, as long as\n" +
			"that key lets the cluster run; what is written meanwhile may not be among it. Of a stopped folder, which nobody asks a vault for, clusters under the platform's key are; the seal is needed.\n\n" +
			"What could not be verified is listed. The exit code is 1 when there is damage.\n\n" +
			"A database whose log has lost a segment stays closed until the file is back. --give-up lets it open without that segment, of a stopped folder: rows that only it had are lost.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := dataDir(cmd)
			if len(args) == 1 {
				dir, err = filepath.Abs(args[0])
			}
			if err != nil {
				return err
			}
			if giveUp != "" {
				cfg, err := stoppedConfig(dir, seal)
				if err != nil {
					return err
				}
				return deps.GiveUp(cmd.Context(), cfg, giveUp, cmd.OutOrStdout())
			}
			found, err := fsckReport(cmd.Context(), deps, dir, seal, withoutSeal)
			if err != nil {
				return err
			}
			write := found.Print
			if asJSON {
				write = found.JSON
			}
			if err := write(cmd.OutOrStdout()); err != nil {
				return err
			}
			if !found.Good() {
				return &ExitError{Code: 1}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&seal, "seal", "", "seal of the folder, as for 'kustos up'")
	cmd.Flags().BoolVar(&withoutSeal, "without-seal", false, "check only what needs no key")
	cmd.Flags().StringVar(&giveUp, "give-up", "", "let a database open without the log segment `ID`, and lose what only that has")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("give-up", "without-seal")
	cmd.MarkFlagsMutuallyExclusive("give-up", "json")
	return cmd
}

// fsckReport asks the server that runs on the folder, or reads the stopped folder.
func fsckReport(ctx context.Context, deps Deps, dir, seal string, withoutSeal bool) (report.Report, error) {
	client := operator.NewClient(dir)
	defer client.Close()
	if !withoutSeal { // else whoever runs a server is told so
		found, err := client.Fsck(ctx)
		if !errors.Is(err, operator.ErrNoServer) {
			return found, err
		}
	}
	cfg, err := stoppedConfig(dir, seal)
	if err != nil {
		return report.Report{}, err
	}
	return deps.Fsck(ctx, cfg, withoutSeal)
}

func newBackup(deps Deps) *cobra.Command {
	return &cobra.Command{
		Use:   "backup TO",
		Short: "Copy the data folder as it is at one moment, also while a server runs; needs no key",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := dataDir(cmd)
			if err != nil {
				return err
			}
			to, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			return deps.Backup(cmd.Context(), dir, to, cmd.OutOrStdout())
		},
	}
}

func newRestore(deps Deps) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FROM",
		Short: "Put a backup into an empty data folder; it opens with the seal of the instance it was taken of",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := dataDir(cmd)
			if err != nil {
				return err
			}
			return deps.Restore(cmd.Context(), args[0], dir, cmd.OutOrStdout())
		},
	}
}
