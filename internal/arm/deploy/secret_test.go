package deploy_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// The secure part of a parameter shows nowhere: not in the deployment, not in
// the nested one that is evaluated in the outer scope, not in its operations.
func TestSecurePartsAreNotShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		template := `{"$schema": "2019-04-01", "contentVersion": "1.0.0.0", "languageVersion": "2.0",
			"definitions": {"login": {"type": "object", "properties": {"user": {"type": "string"}, "pass": {"type": "secureString"}}}},
			"parameters": {"l": {"$ref": "#/definitions/login"}},
			"resources": {"in": {"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "in", "properties": {"mode": "Incremental", "template": ` +
			doc(`[{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "a", "properties": {"x": "[parameters('l').pass]", "u": "[parameters('l').user]"}}]`, "") + `}}},
			"outputs": {"o": {"$ref": "#/definitions/login", "value": "[parameters('l')]"}}}`
		body := strings.Replace(request(template, `{"l": {"value": {"user": "anna", "pass": "hush"}}}`), `"mode"`, `"debugSetting": {"detailLevel": "requestContent,responseContent"}, "mode"`, 1)
		got := r.deploy(group+deployments+"d", body)
		if at(got, "properties", "provisioningState") != "Succeeded" || r.front.bodies["a"] != `{"properties":{"x":"hush","u":"anna"}}` {
			t.Fatal(compact(got), r.front.bodies)
		}
		if compact(at(got, "properties", "parameters", "l", "value")) != `{"user":"anna"}` || compact(at(got, "properties", "outputs", "o", "value")) != `{"user":"anna"}` {
			t.Error(compact(got))
		}
		for _, n := range []string{"d", "in"} {
			text := compact(r.show(group + deployments + n))
			for _, call := range [][2]string{{http.MethodPost, "exportTemplate"}, {http.MethodGet, "operations"}} {
				resp, err := r.do(call[0], group+deployments+n, call[1], "")
				if err != nil {
					t.Fatal(call, err)
				}
				text += compact(tree(t, resp))
			}
			if strings.Contains(text, "hush") {
				t.Errorf("%s: %s", n, text)
			}
		}
		if strings.Contains(r.log.String(), "hush") {
			t.Error("the log shows it")
		}
	})
}
