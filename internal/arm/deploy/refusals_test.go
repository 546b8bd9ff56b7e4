package deploy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/azerr"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestRefusals keeps every refusal of the deployments' own routes: status,
// code, message, target, details and place.
func TestRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		d, sd := group+deployments+"d", "/subscriptions/"+sub+deployments+"d"
		good := request(doc("[]", ""), "")
		located := func(location, body string) string { return `{"location": "` + location + `", ` + body[1:] }
		r.deploy(group+deployments+"done", good)
		r.deploy("/subscriptions/"+sub+deployments+"placed", located("westeurope", good))
		r.front.hold = make(chan struct{})
		if _, err := r.do(http.MethodPut, group+deployments+"busy", "", request(doc(`[{"type": "Test.Async/things", "apiVersion": "2020-01-01", "name": "slow", "properties": {}}]`, ""), "")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		vault := func(reference string) string {
			return request(doc("[]", `, "parameters": {"p": {"type": "securestring"}}`), `{"p": {"reference": `+reference+`}}`)
		}
		var b strings.Builder
		for _, c := range []struct{ name, method, id, action, body string }{
			{"no JSON", http.MethodPut, d, "", `{"properties": {template: {"a" "b"}}}`},
			{"nothing", http.MethodPut, d, "", ``},
			{"an array", http.MethodPut, d, "", `[]`},
			{"unterminated", http.MethodPut, d, "", "{\"properties\": {\n  \"mode\": \"Incremental"},
			{"unterminated comment", http.MethodPut, d, "", "{\"properties\": {\n  /* "},
			{"no properties", http.MethodPut, d, "", `{}`},
			{"no mode", http.MethodPut, d, "", `{"properties": {"template": {}}}`},
			{"odd mode", http.MethodPut, d, "", `{"properties": {"mode": "Partly", "template": {}}}`},
			{"no template", http.MethodPut, d, "", `{"properties": {"mode": "Incremental"}}`},
			{"template and link", http.MethodPut, d, "", `{"properties": {"mode": "Incremental", "template": {}, "templateLink": {"uri": "https://templates.localhost/t.json"}}}`},
			{"parameters and link", http.MethodPut, d, "", `{"properties": {"mode": "Incremental", "template": {}, "parameters": {}, "parametersLink": {"uri": "https://templates.localhost/p.json"}}}`},
			{"link", http.MethodPut, d, "", `{"properties": {"mode": "Incremental", "templateLink": {"uri": "https://x.example/t.json"}}}`},
			{"link to parameters", http.MethodPut, d, "", `{"properties": {"mode": "Incremental", "template": ` + doc("[]", "") + `, "parametersLink": {"uri": "https://x.example/p.json"}}}`},
			{"template spec", http.MethodPut, d, "", `{"properties": {"mode": "Incremental", "templateLink": {"id": "/x"}}}`},
			{"on error", http.MethodPut, d, "", `{"properties": {"mode": "Incremental", "template": {}, "onErrorDeployment": {"type": "Never"}}}`},
			{"on error nothing", http.MethodPut, d, "", strings.Replace(good, `"mode"`, `"onErrorDeployment": {"type": "SpecificDeployment", "deploymentName": "none"}, "mode"`, 1)},
			{"odd name", http.MethodPut, group + deployments + "a*b", "", good},
			{"long name", http.MethodPut, group + deployments + strings.Repeat("n", 65), "", good},
			{"location at a group", http.MethodPut, d, "", located("westeurope", good)},
			{"no location at a subscription", http.MethodPut, sd, "", good},
			{"another location", http.MethodPut, "/subscriptions/" + sub + deployments + "placed", "", located("eastus", good)},
			{"complete at a subscription", http.MethodPut, sd, "", strings.Replace(located("westeurope", good), "Incremental", "Complete", 1)},
			{"vault", http.MethodPut, d, "", vault(`{"keyVault": {"id": "` + group + `/providers/Microsoft.KeyVault/vaults/v"}, "secretName": "s"}`)},
			{"vault without a name", http.MethodPut, d, "", vault(`{"keyVault": {"id": "` + group + `/providers/Microsoft.KeyVault/vaults/v"}}`)},
			{"no such vault", http.MethodPut, d, "", vault(`{"keyVault": {"id": "nowhere"}, "secretName": "s"}`)},
			{"function", http.MethodPut, d, "", request(doc("[]", `, "outputs": {"o": {"type": "string", "value": "[frobnicate()]"}}`), "")},
			{"validate", http.MethodPost, d, "validate", request(doc("[]", `, "parameters": {"p": {"type": "int"}}`), `{"p": {"value": "5"}}`)},
			{"what-if", http.MethodPost, d, "whatIf", request(doc("[]", `, "parameters": {"p": {"type": "int"}}`), "")},
			{"what-if format", http.MethodPost, d, "whatIf", strings.Replace(good, `"mode"`, `"whatIfSettings": {"resultFormat": "Prose"}, "mode"`, 1)},
			{"tags are a list", http.MethodPut, d, "", `{"tags": [], ` + good[1:]},
			{"link is a string", http.MethodPut, d, "", `{"properties": {"mode": "Incremental", "templateLink": "https://templates.localhost/t.json"}}`},
			{"on error at a subscription", http.MethodPut, sd, "", strings.Replace(located("westeurope", good), `"mode"`, `"onErrorDeployment": {"type": "LastSuccessful"}, "mode"`, 1)},
			{"no such group", http.MethodPut, "/subscriptions/" + sub + "/resourceGroups/none" + deployments + "d", "", good},
			{"still active", http.MethodPut, group + deployments + "busy", "", good},
			{"delete an active one", http.MethodDelete, group + deployments + "busy", "", ""},
			{"cancel what has ended", http.MethodPost, group + deployments + "done", "cancel", ""},
			{"cancel nothing", http.MethodPost, group + deployments + "none", "cancel", ""},
			{"get nothing", http.MethodGet, group + deployments + "none", "", ""},
			{"export nothing", http.MethodPost, group + deployments + "none", "exportTemplate", ""},
			{"operations of nothing", http.MethodGet, group + deployments + "none", "operations", ""},
			{"an operation that is not", http.MethodGet, group + deployments + "done/operations/none", "", ""},
			{"action", http.MethodPost, group + deployments + "done", "frobnicate", ""},
		} {
			_, err := r.do(c.method, c.id, c.action, c.body)
			var wire *azerr.Error
			if !errors.As(err, &wire) {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			data, err := json.Marshal(wire)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			enc := json.NewEncoder(&out)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(json.RawMessage(data)); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s\n  %d %s", c.name, wire.Status, out.String())
		}
		close(r.front.hold)
		const path = "testdata/refusals.golden"
		if *update {
			if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Errorf("(run with -update after reading the difference)\n%s", diff)
		}
	})
}
