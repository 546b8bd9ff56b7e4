package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kustos-io/kustos/internal/operator"
)

// operatorCommand makes a command out of what it asks the server.
type operatorCommand func(use, short string, do func(cmd *cobra.Command, c *operator.Client) error) *cobra.Command

// newOperatorIdentity prints how a process speaks as a user-assigned identity.
func newOperatorIdentity(on operatorCommand) *cobra.Command {
	cmd := on("identity RESOURCE_ID", "Print how a process speaks as a user-assigned identity (HTTP_PROXY, IDENTITY_ENDPOINT), with its secret",
		func(cmd *cobra.Command, c *operator.Client) error {
			out, err := c.Identity(cmd.Context(), cmd.Flags().Arg(0))
			if err != nil {
				return err
			}
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetIndent("", "  ")
			return enc.Encode(out)
		})
	cmd.Args = cobra.ExactArgs(1)
	return cmd
}

// newOperatorUser makes a person; the password comes as a passphrase does.
func newOperatorUser(on operatorCommand, fd *int) *cobra.Command {
	var display, tenant string
	var owner bool
	cmd := on("create-user NAME", "Make a person who signs in with a password", func(cmd *cobra.Command, c *operator.Client) error {
		password, err := readPassphrase(*fd, true)
		if err != nil {
			return err
		}
		defer clear(password)
		name := cmd.Flags().Arg(0)
		if display == "" {
			display, _, _ = strings.Cut(name, "@")
		}
		user, err := c.CreateUser(cmd.Context(), operator.NewUser{Tenant: tenant, Name: name, DisplayName: display, Owner: owner, Password: password})
		if err == nil {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s (object id %s)\n", user.UPN, user.ObjectID)
		}
		return err
	})
	cmd.Args = cobra.ExactArgs(1)
	cmd.Flags().StringVar(&display, "display-name", "", "the name that people see (default: the name before the @)")
	tenantFlag(cmd, &tenant)
	cmd.Flags().BoolVar(&owner, "owner", false, "make the person Owner of the tenant's first subscription")
	return cmd
}

// newOperatorSigningKey rotates the token signing key.
func newOperatorSigningKey(on operatorCommand) *cobra.Command {
	var tenant string
	cmd := on("rotate-signing-key", "Make a new token signing key; tokens of the old one stay good until they expire", func(cmd *cobra.Command, c *operator.Client) error {
		id, err := c.RotateSigningKey(cmd.Context(), tenant)
		if err == nil {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "key %s signs from now on\n", id)
		}
		return err
	})
	tenantFlag(cmd, &tenant)
	return cmd
}
