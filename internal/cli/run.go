package cli

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kustos-io/kustos/internal/operator"
)

// ExitError carries the exit status of the command that `kustos run` ran.
type ExitError struct{ Code int }

func (e *ExitError) Error() string { return "the command failed" }

func newRun() *cobra.Command {
	var as, tenant string
	cmd := &cobra.Command{
		Use:   "run -- COMMAND [ARG...]",
		Short: "Run one command with the environment of the running server",
		Long: "Run one command with the environment that 'kustos env' prints, plus AZURE_CLIENT_SECRET\n" +
			"and ARM_CLIENT_SECRET, set for that command only:\n\n" +
			"  kustos run -- sh -c 'az login --service-principal -u \"$AZURE_CLIENT_ID\" -p \"$AZURE_CLIENT_SECRET\" --tenant \"$AZURE_TENANT_ID\"'\n\n" +
			"With --as the command is a user-assigned identity and has no secret of the service principal:\n\n" +
			"  kustos run --as /subscriptions/…/userAssignedIdentities/NAME -- az login --identity",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, c, vars, err := runningEnv(cmd)
			if err != nil {
				return err
			}
			if as == "" {
				return runChild(args, append(vars, secretEnv(c)...))
			}
			client := operator.NewClient(dir)
			defer client.Close()
			identity, err := client.Identity(cmd.Context(), as)
			if err != nil {
				return err
			}
			if c, err = c.Of(identity.TenantID); err != nil {
				return err
			}
			if vars, err = clientEnv(c); err != nil {
				return err
			}
			if vars, err = identityEnv(vars, identity); err != nil {
				return err
			}
			return runChild(args, vars)
		},
	}
	tenantFlag(cmd, &tenant)
	cmd.Flags().StringVar(&as, "as", "", "resource id of the user-assigned identity that the command is")
	return cmd
}

// identityEnv makes vars those of a process on a machine with one user-assigned
// identity: it reaches the metadata endpoint, and has a profile of its own.
func identityEnv(vars []variable, identity operator.Identity) ([]variable, error) {
	out := []variable{{"IDENTITY_ENDPOINT", identity.Endpoint}, {"IDENTITY_HEADER", identity.Header}} // and no secret: mergeEnv drops that of a shell inside 'kustos run'
	for _, v := range vars {
		switch v.Name {
		case "HTTP_PROXY", "http_proxy":
			v.Value = identity.Proxy
		case "AZURE_CLIENT_ID", "ARM_CLIENT_ID":
			v.Value = identity.ClientID
		case "AZURE_CONFIG_DIR":
			v.Value = filepath.Join(v.Value, identity.ClientID)
			if err := os.MkdirAll(v.Value, 0o700); err != nil {
				return nil, err
			}
		}
		out = append(out, v)
	}
	return out, nil
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
// send a client elsewhere (other identity endpoints, ALL_PROXY) are dropped, and
// so is a secret that vars does not name.
func mergeEnv(base []string, vars []variable) []string {
	drop := map[string]bool{"ALL_PROXY": true, "all_proxy": true, "IDENTITY_ENDPOINT": true, "IDENTITY_HEADER": true,
		"MSI_ENDPOINT": true, "MSI_SECRET": true, "IMDS_ENDPOINT": true, "IDENTITY_SERVER_THUMBPRINT": true, "SSL_CERT_DIR": true,
		"AZURE_CLIENT_SECRET": true, "ARM_CLIENT_SECRET": true}
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
