package arm_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/test/harness"
)

const version = "?api-version=2021-04-01"

func TestMain(m *testing.M) {
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

// send asks Resource Manager, waits for an answer that is still to come, and
// insists that it is no refusal.
func send(b *testing.B, c *client.Client, method, path string, body any) client.Answer {
	b.Helper()
	a, err := c.Do(b.Context(), client.ARM, method, client.ARM+path, body)
	for err == nil && a.Status == http.StatusAccepted && a.Header.Get("Location") != "" {
		a, err = c.Do(b.Context(), client.ARM, http.MethodGet, a.Header.Get("Location"), nil)
	}
	if err == nil {
		err = a.Refusal()
	}
	if err != nil {
		b.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// BenchmarkArticle deploys the article's template. One operation is the time
// from the request's sending to the first answer that shows the cluster's
// record; the milliseconds to the accepting answer are reported beside it.
func BenchmarkArticle(b *testing.B) {
	template, err := os.ReadFile("../../examples/cluster.json")
	if err != nil {
		b.Fatal(err)
	}
	c := harness.Start(b, harness.New(b))
	group := "/subscriptions/" + c.Conn.SubscriptionID + "/resourceGroups/bench"
	send(b, c, http.MethodPut, group+version, `{"location": "westeurope"}`)
	var accepted, written []time.Duration
	for i := 0; b.Loop(); i++ {
		name := fmt.Sprintf("article%d", i)
		cluster := group + "/providers/Microsoft.Kusto/clusters/" + name + "?api-version=2023-08-15"
		deployment := group + "/providers/Microsoft.Resources/deployments/" + name
		body := fmt.Sprintf(`{"properties": {"mode": "Incremental", "parameters": {"clusterName": {"value": %q}}, "template": %s}}`, name, template)
		begin := time.Now()
		send(b, c, http.MethodPut, deployment+version, body)
		accepted = append(accepted, time.Since(begin))
		for {
			a, err := c.Do(b.Context(), client.ARM, http.MethodGet, client.ARM+cluster, nil)
			if err != nil {
				b.Fatal(err)
			}
			if a.Status == http.StatusOK {
				break
			}
		}
		written = append(written, time.Since(begin))
		b.StopTimer() // the rest of the deployment, and room for the next
		settle(b, c, deployment+version)
		if err := c.ARM(b.Context(), http.MethodDelete, strings.TrimSuffix(cluster, "?api-version=2023-08-15"), "2023-08-15", nil, nil); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	report(b, accepted, "accepted")
	report(b, written, "written")
}

// report adds the median and the most of a series in milliseconds.
func report(b *testing.B, list []time.Duration, what string) {
	slices.Sort(list)
	b.ReportMetric(float64(list[len(list)/2].Microseconds())/1000, "ms-"+what+"-median")
	b.ReportMetric(float64(list[len(list)-1].Microseconds())/1000, "ms-"+what+"-most")
}

// settle waits for the end of a deployment, which must have succeeded.
func settle(b *testing.B, c *client.Client, path string) {
	b.Helper()
	for {
		var got struct {
			Properties struct {
				ProvisioningState string          `json:"provisioningState"`
				Error             json.RawMessage `json:"error"`
			} `json:"properties"`
		}
		if err := json.Unmarshal(send(b, c, http.MethodGet, path, nil).Body, &got); err != nil {
			b.Fatal(err)
		}
		switch got.Properties.ProvisioningState {
		case "Succeeded":
			return
		case "Failed", "Canceled":
			b.Fatalf("%s: %s", path, got.Properties.Error)
		}
	}
}

// large is a deployment of n identities with some twelve expressions each.
func large(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`{"type": "Microsoft.ManagedIdentity/userAssignedIdentities", "apiVersion": "2023-01-31", "name": "[concat(parameters('prefix'), '%d')]", "location": "[resourceGroup().location]",
			"tags": {"a": "[toLower(variables('tag'))]", "b": "[uniqueString(resourceGroup().id, '%d')]", "c": "[format('{0}-{1}', parameters('prefix'), %d)]", "d": "[if(equals(mod(%d, 2), 0), 'even', 'odd')]",
			"e": "[variables('object').list[0]]", "f": "[guid(resourceGroup().id, '%d')]", "g": "[take(variables('tag'), 3)]", "h": "[subscription().subscriptionId]", "i": "[string(length(variables('object').list))]",
			"j": "[join(union(createArray('a'), createArray('b')), ',')]"}}`, i, i, i, i, i)
	}
	return `{"properties": {"mode": "Incremental", "template": {"$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#", "contentVersion": "1.0.0.0",
		"parameters": {"prefix": {"type": "string", "defaultValue": "[concat('n', uniqueString(resourceGroup().id))]"}},
		"variables": {"tag": "[toUpper('some tag')]", "object": {"list": ["[variables('tag')]", 2, 3]}}, "resources": [` + strings.Join(list, ",\n") + `]}}}`
}

// BenchmarkLarge plans and previews 800 resources with some 10,000 expressions
// through the server, and reports how far its memory rises above idle.
func BenchmarkLarge(b *testing.B) {
	for _, action := range []string{"validate", "whatIf"} {
		b.Run(action, func(b *testing.B) {
			c := harness.Start(b, harness.New(b))
			group := "/subscriptions/" + c.Conn.SubscriptionID + "/resourceGroups/bench"
			send(b, c, http.MethodPut, group+version, `{"location": "westeurope"}`)
			body := large(800)
			idle := memory(b, c.Conn.PID, "VmRSS")
			for b.Loop() {
				send(b, c, http.MethodPost, group+"/providers/Microsoft.Resources/deployments/large/"+action+version, body)
			}
			b.ReportMetric(memory(b, c.Conn.PID, "VmHWM")-idle, "MB-above-idle")
		})
	}
}

// memory is a figure of /proc/PID/status in MB: VmRSS is what is resident now,
// VmHWM the most that ever was.
func memory(b *testing.B, pid int, name string) float64 {
	b.Helper()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		b.Skipf("no memory figures here: %v", err)
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb / 1024
		}
	}
	b.Fatalf("no %s in /proc/%d/status", name, pid)
	return 0
}
