package cli

import (
	"github.com/spf13/cobra"

	"github.com/kustos-io/kustos/internal/connection"
)

// running reads the connection file of the server of a command's data folder.
func running(cmd *cobra.Command) (dir string, c connection.File, err error) {
	if dir, err = dataDir(cmd); err != nil {
		return "", connection.File{}, err
	}
	c, err = connection.Read(dir)
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
