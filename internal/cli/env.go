package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kustos-io/kustos/internal/connection"
)

// variable is one environment variable a client needs.
type variable struct{ Name, Value string }

// clientEnv is what points an unmodified Azure client at the server: proxy,
// trust and a private Azure profile. It holds no secret.
func clientEnv(c connection.File) ([]variable, error) {
	profile, err := azureConfigDir(c)
	if err != nil {
		return nil, err
	}
	const local = "localhost,127.0.0.1,::1"
	return []variable{
		{"HTTPS_PROXY", c.Proxy}, {"https_proxy", c.Proxy},
		{"HTTP_PROXY", c.Proxy}, {"http_proxy", c.Proxy},
		{"NO_PROXY", local}, {"no_proxy", local},
		{"REQUESTS_CA_BUNDLE", c.CAFile}, // az, Python SDKs
		{"CURL_CA_BUNDLE", c.CAFile},
		{"SSL_CERT_FILE", c.CAFile},       // Go, Terraform, OpenSSL
		{"NODE_EXTRA_CA_CERTS", c.CAFile}, // Node
		{"AZURE_CONFIG_DIR", profile},     // the person's real Azure profile stays untouched
		{"AZURE_CORE_COLLECT_TELEMETRY", "false"},
		{"AZURE_TENANT_ID", c.TenantID}, {"AZURE_SUBSCRIPTION_ID", c.SubscriptionID}, {"AZURE_CLIENT_ID", c.ClientID},
		{"ARM_TENANT_ID", c.TenantID}, {"ARM_SUBSCRIPTION_ID", c.SubscriptionID}, {"ARM_CLIENT_ID", c.ClientID},
	}, nil
}

// secretEnv are the variables that `kustos run` sets for its child and that
// `kustos env` prints only when asked.
func secretEnv(c connection.File) []variable {
	return []variable{{"AZURE_CLIENT_SECRET", c.ClientSecret}, {"ARM_CLIENT_SECRET", c.ClientSecret}}
}

// azureConfigDir is the private profile folder of one instance, and of one
// tenant but the first. It lies outside the data folder, because az writes
// credentials there in clear.
func azureConfigDir(c connection.File) (string, error) {
	state := os.Getenv("XDG_STATE_HOME")
	if state == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		state = filepath.Join(home, ".local", "state")
	}
	dir := filepath.Join(state, "kustos", "azure", c.InstanceID)
	for _, t := range c.Tenants {
		if t.TenantID == c.TenantID {
			dir = filepath.Join(dir, c.TenantID)
		}
	}
	return dir, os.MkdirAll(dir, 0o700)
}

func newEnv() *cobra.Command {
	var format, tenant string
	var credentials bool
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Print the environment that points Azure clients at the running server",
		Long: "Print the environment that points unmodified Azure clients at the running server:\n\n" +
			"  eval \"$(kustos env)\"\n\nPrefer 'kustos run -- COMMAND', which sets it for that command only.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, c, vars, err := runningEnv(cmd)
			if err != nil {
				return err
			}
			if credentials {
				vars = append(vars, secretEnv(c)...)
			}
			return printEnv(cmd.OutOrStdout(), format, vars)
		},
	}
	cmd.Flags().StringVar(&format, "format", "shell", "shell, powershell, json or github")
	tenantFlag(cmd, &tenant)
	cmd.Flags().BoolVar(&credentials, "credentials", false, "also print the service principal's secret")
	return cmd
}

// printEnv writes vars in one of the four formats; values are quoted so that
// the format's reader gets them back exactly.
func printEnv(w io.Writer, format string, vars []variable) error {
	switch format {
	case "json":
		m := map[string]string{}
		for _, v := range vars {
			m[v.Name] = v.Value
		}
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(m)
	case "shell", "powershell", "github":
	default:
		return fmt.Errorf("--format %q is not shell, powershell, json or github", format)
	}
	var b strings.Builder
	for _, v := range vars {
		switch format {
		case "shell":
			fmt.Fprintf(&b, "export %s='%s'\n", v.Name, strings.ReplaceAll(v.Value, "'", `'\''`))
		case "powershell":
			fmt.Fprintf(&b, "$env:%s = '%s'\n", v.Name, strings.ReplaceAll(v.Value, "'", "''"))
		case "github": // a line of $GITHUB_ENV
			fmt.Fprintf(&b, "%s=%s\n", v.Name, v.Value)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
