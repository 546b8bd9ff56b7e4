package cli

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// ExitError carries the exit status of the command that `kustos run` ran.
type ExitError struct{ Code int }

func (e *ExitError) Error() string { return "the command failed" }

func newRun() *cobra.Command {
	return &cobra.Command{
		Use:   "run -- COMMAND [ARG...]",
		Short: "Run one command with the environment of the running server",
		Long: "Run one command with the environment that 'kustos env' prints, plus AZURE_CLIENT_SECRET\n" +
			"and ARM_CLIENT_SECRET, set for that command only:\n\n" +
			"  kustos run -- sh -c 'az login --service-principal -u \"$AZURE_CLIENT_ID\" -p \"$AZURE_CLIENT_SECRET\" --tenant \"$AZURE_TENANT_ID\"'",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := dataDir(cmd)
			if err != nil {
				return err
			}
			c, err := ReadConnection(dir)
			if err != nil {
				return err
			}
			vars, err := clientEnv(c)
			if err != nil {
				return err
			}
			return runChild(args, append(vars, secretEnv(c)...))
		},
	}
}

func runChild(args []string, vars []variable) error {
	child := exec.Command(args[0], args[1:]...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.Env = mergeEnv(os.Environ(), vars)
	// Ctrl-C reaches the child from the terminal; this process only waits for it.
	signal.Ignore(syscall.SIGINT, syscall.SIGQUIT)
	err := child.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &ExitError{Code: exit.ExitCode()}
	}
	return err
}

// mergeEnv replaces the variables of base that vars names. Variables that would
// send a client elsewhere (other identity endpoints, ALL_PROXY) are dropped.
func mergeEnv(base []string, vars []variable) []string {
	drop := map[string]bool{"ALL_PROXY": true, "all_proxy": true, "IDENTITY_ENDPOINT": true, "IDENTITY_HEADER": true,
		"MSI_ENDPOINT": true, "MSI_SECRET": true, "IMDS_ENDPOINT": true, "IDENTITY_SERVER_THUMBPRINT": true, "SSL_CERT_DIR": true}
	for _, v := range vars {
		drop[v.Name] = true
	}
	var out []string
	for _, kv := range base {
		if name, _, _ := strings.Cut(kv, "="); !drop[name] {
			out = append(out, kv)
		}
	}
	for _, v := range vars {
		out = append(out, v.Name+"="+v.Value)
	}
	return out
}
