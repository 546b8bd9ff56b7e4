package cli

import (
	"path/filepath"

	"github.com/spf13/cobra"
)

func newFsck(deps Deps) *cobra.Command {
	var (
		seal                string
		withoutSeal, asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "fsck [DIR]",
		Short: "Verify everything on disk of a stopped folder and say what is wrong",
		Long: "Verify a folder on which no server runs.\n\nWith the seal: every value of the state, the catalogue against the files, the audit log, and every chunk and\n" +
			"frame of clusters under the platform's key. What could not be verified is listed. The exit code is 1 when there is damage.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := dataDir(cmd)
			if len(args) == 1 {
				dir, err = filepath.Abs(args[0])
			}
			if err != nil {
				return err
			}
			cfg, err := stoppedConfig(dir, seal)
			if err != nil {
				return err
			}
			sound, err := deps.Fsck(cmd.Context(), cfg, withoutSeal, asJSON, cmd.OutOrStdout())
			if err == nil && !sound {
				err = &ExitError{Code: 1}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&seal, "seal", "", "seal of the folder, as for 'kustos up'")
	cmd.Flags().BoolVar(&withoutSeal, "without-seal", false, "check only what needs no key")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
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
