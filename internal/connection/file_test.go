package connection_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/connection"
)

func TestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := connection.Read(dir); err == nil || !strings.Contains(err.Error(), "no server has been started on "+dir) {
		t.Errorf("without a file: %v", err)
	}
	want := connection.File{Proxy: "http://127.0.0.1:1", CAFile: "/d/ca.pem", Direct: "https://127.0.0.1:2", TenantID: "t", SubscriptionID: "s", ClientID: "c",
		ClientSecret: "secret", SealFile: "/s", InstanceID: "i", PID: 3, Control: "http://127.0.0.1:4", ControlToken: "token", IdentityEndpoint: "http://127.0.0.1:1/msi/token",
		Clusters: []connection.Cluster{{Name: "c", Host: "c.westeurope.kusto.windows.net", URL: "https://localhost:5", Port: 5}}}
	if err := want.Write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := connection.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	path := filepath.Join(dir, connection.Name)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := connection.Read(dir); err == nil || !strings.Contains(err.Error(), "is not a connection file") {
		t.Errorf("a broken file: %v", err)
	}
}
