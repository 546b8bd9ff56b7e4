package cli

import (
	"github.com/spf13/cobra"

	"github.com/kustos-io/kustos/internal/connection"
)

// tenantFlag adds --tenant to a command.
func tenantFlag(cmd *cobra.Command, tenant *string) {
	cmd.Flags().StringVar(tenant, "tenant", "", "id, domain or name of the tenant (default: the first one)")
}

// running reads the connection file of the server of a command's data folder,
// for the tenant of its flag --tenant, if it has one.
func running(cmd *cobra.Command) (dir string, c connection.File, err error) {
	if dir, err = dataDir(cmd); err != nil {
		return "", connection.File{}, err
	}
	if c, err = connection.Read(dir); err != nil {
		return "", connection.File{}, err
	}
	if flag := cmd.Flags().Lookup("tenant"); flag != nil {
		c, err = c.Of(flag.Value.String())
	}
	return dir, c, err
}

// runningEnv is running with the environment of its clients.
func runningEnv(cmd *cobra.Command) (dir string, c connection.File, vars []variable, err error) {
	if dir, c, err = running(cmd); err != nil {
		return "", connection.File{}, nil, err
	}
	vars, err = clientEnv(c)
	return dir, c, vars, err
}
