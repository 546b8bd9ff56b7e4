package badinput_test

import (
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/test/harness"
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

const (
	apiGroup   = "2021-04-01"
	apiCluster = "2023-08-15"
	apiVault   = "2023-07-01"
)

// server is a running instance with cluster "badinput", database "db", table T (one
// row) and vault "kvbadinput".
type server struct {
	testing.TB
	*client.Client
	uri string // of the cluster
}

func start(t *testing.T) *server {
	c := harness.Start(t, harness.New(t))
	uri, principal := harness.Cluster(t, c, "badinput", "db")
	s := &server{t, c, uri}
	me, err := c.Subject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	policy := func(id string) any {
		return map[string]any{"tenantId": c.Conn.TenantID, "objectId": id, "permissions": map[string]any{"keys": []string{"all"}}}
	}
	if err := c.ARM(t.Context(), http.MethodPut, s.vault(), apiVault, map[string]any{"location": harness.Location, "properties": map[string]any{
		"tenantId": c.Conn.TenantID, "sku": map[string]string{"family": "A", "name": "standard"}, "enablePurgeProtection": true,
		"accessPolicies": []any{policy(me), policy(principal)}}}, nil); err != nil {
		t.Fatal(err)
	}
	harness.Command(t, c, uri, "db", ".create table T (Id:long, Text:string)", ".ingest inline into table T <| 1,one")
	return s
}

func (s *server) group() string   { return harness.GroupPath(s.Client) }
func (s *server) cluster() string { return s.group() + "/providers/Microsoft.Kusto/clusters/badinput" }
func (s *server) vault() string {
	return s.group() + "/providers/Microsoft.KeyVault/vaults/kvbadinput"
}

// send sends one request with a token for audience.
func (s *server) send(audience, method, address string, body any) client.Answer {
	s.Helper()
	a, err := s.Do(s.Context(), audience, method, address, body)
	if err != nil {
		s.Fatalf("%s %s: %v", method, address, err)
	}
	return a
}

// refused insists on a status and a code, and that text stands in the message.
func (s *server) refused(a client.Answer, status int, code, text string) {
	s.Helper()
	var e *client.RefusedError
	if err := a.Refusal(); !errors.As(err, &e) || e.Status != status || e.Code != code || !strings.Contains(e.Message, text) {
		s.Errorf("want %d %s %q, got %d %s", status, code, text, a.Status, a.Body)
	}
}

// state is what must not change: the cluster, the group's resources, the rows.
func (s *server) state() string {
	s.Helper()
	var all []any
	for _, path := range []string{s.cluster() + "?api-version=" + apiCluster, s.group() + "/resources?api-version=" + apiGroup, s.vault() + "?api-version=" + apiVault,
		s.group() + "/providers/Microsoft.Resources/deployments?api-version=" + apiGroup} {
		a := s.send(client.ARM, http.MethodGet, client.ARM+path, nil)
		var v any
		if err := json.Unmarshal(a.Body, &v); err != nil || a.Status != 200 {
			s.Fatalf("%s: %d %v", path, a.Status, err)
		}
		all = append(all, v)
	}
	rows, err := s.Query(s.Context(), s.uri, "db", "T | order by Id asc")
	if err != nil {
		s.Fatal(err)
	}
	tables, err := s.Query(s.Context(), s.uri, "db", ".show tables")
	if err != nil {
		s.Fatal(err)
	}
	out, err := json.MarshalIndent(append(all, rows, tables), "", " ")
	if err != nil {
		s.Fatal(err)
	}
	return string(out)
}

// unchanged runs f and insists that the state before is the state after.
func (s *server) unchanged(f func()) {
	s.Helper()
	before := s.state()
	f()
	if diff := cmp.Diff(before, s.state()); diff != "" {
		s.Errorf("something was left half done:\n%s", diff)
	}
}
