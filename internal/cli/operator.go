package cli

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/kustos-io/kustos/internal/barrier/passphrase"
	"github.com/kustos-io/kustos/internal/barrier/seals"
	"github.com/kustos-io/kustos/internal/config"
	"github.com/kustos-io/kustos/internal/operator"
)

func newOperator() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "operator",
		Short: "Seal, unseal, rekey and rotate a running server; its people and identities",
		Long: "Commands for whoever runs the server. They use admin.sock in the data folder, which only its owner can open.\n\n" +
			"A passphrase is read from descriptor --passphrase-fd, from the file in $KUSTOS_PASSPHRASE_FILE, or from the terminal.",
	}
	var fd int
	cmd.PersistentFlags().IntVar(&fd, "passphrase-fd", -1, "descriptor to read a passphrase from")
	// on makes a command out of what it asks the server.
	on := func(use, short string, do func(cmd *cobra.Command, c *operator.Client) error) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := dataDir(cmd)
			if err != nil {
				return err
			}
			c := operator.NewClient(dir)
			defer c.Close()
			return do(cmd, c)
		}}
	}
	cmd.AddCommand(
		on("status", "Show whether the server is sealed, and by what", printStatus),
		on("seal", "Stop answering and wipe all keys from memory, until unsealed", func(cmd *cobra.Command, c *operator.Client) error {
			return c.Seal(cmd.Context())
		}),
		on("unseal", "Open the seal and answer again", func(cmd *cobra.Command, c *operator.Client) error {
			s, err := c.Status(cmd.Context())
			if err != nil {
				return err
			}
			var secret operator.Secret
			if s.Sealed && s.NeedsSecret {
				if secret, err = readPassphrase(fd, false); err != nil {
					return err
				}
			}
			return c.Unseal(cmd.Context(), secret)
		}),
		newRekey(on, &fd), newOperatorIdentity(on), newOperatorUser(on, &fd), newOperatorSigningKey(on),
		on("rotate", "Make a new data key; what is written from now on is sealed with it", func(cmd *cobra.Command, c *operator.Client) error {
			id, err := c.Rotate(cmd.Context())
			if err == nil {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "data key %d seals from now on\n", id)
			}
			return err
		}),
	)
	return cmd
}

func newRekey(on func(string, string, func(*cobra.Command, *operator.Client) error) *cobra.Command, fd *int) *cobra.Command {
	var seal string
	cmd := on("rekey", "Make a new root key, under the present seal or under another one", func(cmd *cobra.Command, c *operator.Client) error {
		spec, err := config.ParseSeal(seal)
		if err != nil {
			return err
		}
		s, err := c.Status(cmd.Context())
		if err != nil {
			return err
		}
		var secret operator.Secret
		if spec == "" && s.NeedsSecret || spec != "" && seals.NeedsSecret(spec) {
			if secret, err = readPassphrase(*fd, true); err != nil {
				return err
			}
		}
		if err := c.Rekey(cmd.Context(), spec, secret); err != nil {
			return err
		}
		if s, err = c.Status(cmd.Context()); err == nil {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "the root key is new; the next start needs --seal %s\n", s.Seal)
		}
		return err
	})
	cmd.Flags().StringVar(&seal, "seal", "", "the new seal: file:PATH, passphrase, pkcs11:ADDRESS, vault:https://HOST/keys/NAME (default: the present one)")
	return cmd
}

func readPassphrase(fd int, confirm bool) (operator.Secret, error) {
	secret, err := passphrase.Read(passphrase.Source{FD: fd, File: os.Getenv(seals.PassphraseVariable), Confirm: confirm})
	return secret, err
}

func printStatus(cmd *cobra.Command, c *operator.Client) error {
	s, err := c.Status(cmd.Context())
	if err != nil {
		return err
	}
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent("", "  ")
	return enc.Encode(s)
}
