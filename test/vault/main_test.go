package vault_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/test/harness"
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

const audience = "https://vault.azure.net"

// keys speaks to one vault.
type keys struct {
	testing.TB
	*client.Client
	vault string
}

// newVault makes a vault in which the first service principal may do everything.
func newVault(t testing.TB, c *client.Client, name string) *keys {
	t.Helper()
	subject, err := c.Subject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{"keys": []string{"all"}, "secrets": []string{"all"}}
	for _, put := range []struct {
		path, api string
		body      any
	}{{harness.GroupPath(c), "2021-04-01", map[string]string{"location": harness.Location}},
		{harness.GroupPath(c) + "/providers/Microsoft.KeyVault/vaults/" + name, "2023-07-01", map[string]any{"location": harness.Location, "properties": map[string]any{
			"tenantId": c.Conn.TenantID, "sku": map[string]string{"family": "A", "name": "standard"},
			"accessPolicies": []any{map[string]any{"tenantId": c.Conn.TenantID, "objectId": subject, "permissions": all}}}}}} {
		if err := c.ARM(t.Context(), http.MethodPut, put.path, put.api, put.body, nil); err != nil {
			t.Fatal(err)
		}
	}
	return &keys{t, c, name}
}

// try sends a request; the error is of the connection, not of the answer.
func (k *keys) try(method, path string, body any) (client.Answer, error) {
	return k.Do(k.Context(), audience, method, "https://"+k.vault+".vault.azure.net"+path+"?api-version=7.4", body)
}

type bundle struct {
	Key struct {
		Kid string
		N   string
		X   string
	}
	Value string
}

// must sends a request that has to succeed.
func (k *keys) must(method, path string, body any) (out bundle) {
	k.Helper()
	a, err := k.try(method, path, body)
	if err == nil {
		err = a.Refusal()
	}
	if err == nil && len(a.Body) > 0 {
		err = json.Unmarshal(a.Body, &out)
	}
	if err != nil {
		k.Fatalf("%s %s: %v", method, path, err)
	}
	return out
}

// kustos runs the binary on the instance's folder.
func kustos(t testing.TB, inst *client.Instance, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), harness.Binary(t), append(args, "--data", inst.DataDir())...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("kustos %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

func mustKustos(t testing.TB, inst *client.Instance, args ...string) string {
	t.Helper()
	out, err := kustos(t, inst, nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
