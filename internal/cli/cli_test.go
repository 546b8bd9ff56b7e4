package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/cli"
	"github.com/kustos-io/kustos/internal/connection"
)

func written(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_STATE_HOME", filepath.Join(dir, "state"))
	c := connection.File{Proxy: "http://127.0.0.1:1", CAFile: "/d/ca.pem", TenantID: "t", SubscriptionID: "s", ClientID: "c", ClientSecret: "it's secret", InstanceID: "i"}
	if err := c.Write(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	root := cli.Root(cli.Deps{Version: cli.Version{Product: "1", Commit: "abc", Go: "go1", DuckDB: "1.5.6", Format: 1}})
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestEnv(t *testing.T) {
	dir := written(t)
	shell, err := execute(t, "env", "--data", dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"export HTTPS_PROXY='http://127.0.0.1:1'\n", "export REQUESTS_CA_BUNDLE='/d/ca.pem'\n", "export AZURE_CONFIG_DIR='" + filepath.Join(dir, "state", "kustos", "azure", "i") + "'\n"} {
		if !strings.Contains(shell, want) {
			t.Errorf("shell output lacks %q:\n%s", want, shell)
		}
	}
	if strings.Contains(shell, "secret") {
		t.Errorf("the secret is printed without being asked for:\n%s", shell)
	}
	asJSON, err := execute(t, "env", "--data", dir, "--format", "json", "--credentials")
	if err != nil {
		t.Fatal(err)
	}
	var vars map[string]string
	if err := json.Unmarshal([]byte(asJSON), &vars); err != nil {
		t.Fatal(err)
	}
	if vars["AZURE_CLIENT_SECRET"] != "it's secret" || vars["NODE_EXTRA_CA_CERTS"] != "/d/ca.pem" {
		t.Errorf("json output %v", vars)
	}
	ps, err := execute(t, "env", "--data", dir, "--format", "powershell", "--credentials")
	if err != nil || !strings.Contains(ps, "$env:AZURE_CLIENT_SECRET = 'it''s secret'\n") {
		t.Errorf("powershell output %q, %v", ps, err)
	}
	if _, err := execute(t, "env", "--data", dir, "--format", "xml"); err == nil || !strings.Contains(err.Error(), "xml") {
		t.Errorf("format xml: %v", err)
	}
}

func TestEnvWithoutServer(t *testing.T) {
	dir := t.TempDir()
	if _, err := execute(t, "env", "--data", dir); err == nil || !strings.Contains(err.Error(), "kustos up") || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v, want one that names the folder and the command", err)
	}
}

func TestRunSetsTheChildOnly(t *testing.T) {
	dir := written(t)
	out := filepath.Join(dir, "out")
	t.Setenv("ALL_PROXY", "http://elsewhere")
	if _, err := execute(t, "run", "--data", dir, "--", "sh", "-c", `printf '%s|%s|%s' "$HTTPS_PROXY" "$AZURE_CLIENT_SECRET" "$ALL_PROXY" > "$0"`, out); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("http://127.0.0.1:1|it's secret|", string(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if os.Getenv("HTTPS_PROXY") == "http://127.0.0.1:1" {
		t.Error("run changed this process")
	}
}

func TestRunPassesTheExitStatus(t *testing.T) {
	dir := written(t)
	_, err := execute(t, "run", "--data", dir, "--", "sh", "-c", "exit 7")
	exit, ok := err.(*cli.ExitError)
	if !ok || exit.Code != 7 {
		t.Errorf("error %v, want exit status 7", err)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	out, err := execute(t, "version")
	if want := "kustos 1 (commit abc, go1, DuckDB 1.5.6, data format 1)\n"; err != nil || out != want {
		t.Errorf("%q, %v; want %q", out, err, want)
	}
}
