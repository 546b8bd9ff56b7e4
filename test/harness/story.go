package harness

import (
	"maps"
	"net/http"
	"testing"

	"github.com/kustos-io/kustos/internal/client"
)

// Group is the resource group of the stories.
const Group = "story"

// Location is their region.
const Location = "westeurope"

// GroupPath is the group's resource id.
func GroupPath(c *client.Client) string {
	return "/subscriptions/" + c.Conn.SubscriptionID + "/resourceGroups/" + Group
}

// Cluster makes a group, a cluster with a system identity and streaming
// ingestion, and a database; it returns the cluster's data plane address and
// its principal id.
func Cluster(t testing.TB, c *client.Client, name, database string) (uri, principal string) {
	t.Helper()
	return ClusterWith(t, c, name, database, nil)
}

// Properties are members of a cluster's "properties".
type Properties map[string]any

// ClusterWith is Cluster with more properties.
func ClusterWith(t testing.TB, c *client.Client, name, database string, more Properties) (uri, principal string) {
	t.Helper()
	properties := Properties{"enableStreamingIngest": true}
	maps.Copy(properties, more)
	arm := func(method, path, api string, body, out any) {
		t.Helper()
		if err := c.ARM(t.Context(), method, path, api, body, out); err != nil {
			t.Fatal(err)
		}
	}
	arm(http.MethodPut, GroupPath(c), "2021-04-01", map[string]string{"location": Location}, nil)
	path := GroupPath(c) + "/providers/Microsoft.Kusto/clusters/" + name
	var made struct {
		Identity   struct{ PrincipalID string }
		Properties struct{ URI string }
	}
	arm(http.MethodPut, path, "2023-08-15", map[string]any{
		"location": Location, "identity": map[string]string{"type": "SystemAssigned"},
		"sku":        map[string]any{"name": "Standard_D13_v2", "tier": "Standard", "capacity": 2},
		"properties": properties,
	}, &made)
	arm(http.MethodPut, path+"/databases/"+database, "2023-08-15", map[string]any{"location": Location, "kind": "ReadWrite", "properties": map[string]any{}}, nil)
	return made.Properties.URI, made.Identity.PrincipalID
}

// Command runs control commands and fails the test when one is refused.
func Command(t testing.TB, c *client.Client, uri, database string, commands ...string) {
	t.Helper()
	for _, text := range commands {
		if _, err := c.Query(t.Context(), uri, database, text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}
