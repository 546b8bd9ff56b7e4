package deploy_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
)

func TestNestedScopes(t *testing.T) {
	t.Parallel()
	inner := doc(`[{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "[concat(parameters('n'), copyIndex())]", "copy": {"name": "x", "count": 2}, "properties": {"v": "[variables('v')]"}}]`,
		`, "parameters": {"n": {"type": "string"}}, "variables": {"v": "inner"}, "outputs": {"o": {"type": "string", "value": "[variables('v')]"}}`)
	for scope, c := range map[string]struct{ options, parameters, output, first string }{
		"inner": {`"expressionEvaluationOptions": {"scope": "inner"},`, `"parameters": {"n": {"value": "[concat(parameters('n'), '-i')]"}},`, "inner", "out-i0"},
		"outer": {``, ``, "outer", "out0"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			defer func() { r.ops.Close() }()
			got := r.deploy(group+deployments+"d1", request(doc(`[{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "n1", "properties": {"mode": "Incremental", `+c.options+c.parameters+` "template": `+inner+`}}]`,
				`, "parameters": {"n": {"type": "string", "defaultValue": "out"}}, "variables": {"v": "outer"}, "outputs": {"o": {"type": "string", "value": "[reference('n1').outputs.o.value]"}}`), ""))
			if at(got, "properties", "outputs", "o", "value") != c.output {
				t.Errorf("%s: %s", scope, compact(got))
			}
			if ids := at(got, "properties", "outputResources").([]any); len(ids) != 2 || !strings.HasSuffix(at(ids, 0, "id").(string), "/"+c.first) {
				t.Errorf("%s: %v", scope, ids)
			}
			if child := r.show(group + deployments + "n1"); at(child, "properties", "provisioningState") != "Succeeded" || at(child, "properties", "correlationId") != at(got, "properties", "correlationId") {
				t.Error(compact(child))
			}
		})
	}
}

// Two deployments whose nested deployments have the same name take turns, and
// each reads its own.
func TestNestedOfTheSameName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		body := func(v string) string {
			return request(doc(`[{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "same", "properties": {"mode": "Incremental", "template": `+
				doc(`[{"type": "Test.Async/things", "apiVersion": "2020-01-01", "name": "`+v+`", "properties": {}}]`, `, "outputs": {"o": {"type": "string", "value": "`+v+`"}}`)+`}},
				{"type": "Test.Async/things", "apiVersion": "2020-01-01", "name": "late-`+v+`", "dependsOn": ["same"], "properties": {}}]`,
				`, "outputs": {"o": {"type": "string", "value": "[reference('same').outputs.o.value]"}}`), "")
		}
		var waits []string
		for _, v := range []string{"one", "two", "three"} {
			resp, err := r.doAs("c-"+v, http.MethodPut, group+deployments+v, "", body(v))
			if err != nil {
				t.Fatal(err)
			}
			waits = append(waits, resp.OperationID)
		}
		for i, v := range []string{"one", "two", "three"} {
			if _, err := r.ops.Wait(t.Context(), waits[i]); err != nil {
				t.Fatal(err)
			}
			if got := r.show(group + deployments + v); at(got, "properties", "outputs", "o", "value") != v {
				t.Error(compact(got))
			}
		}
	})
}

func TestSubscriptionScope(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		r.front.preflight = func(req *provider.Request) error {
			r.front.mu.Lock()
			defer r.front.mu.Unlock()
			if req.ID.ResourceGroup == "new" && req.ID.Namespace != "" && r.front.resources[strings.ToLower(req.ID.Scope().String())] == nil {
				return azerr.ResourceGroupNotFound("new")
			}
			return nil
		}
		body := request(doc(`[{"type": "Microsoft.Resources/resourceGroups", "apiVersion": "2021-04-01", "name": "new", "location": "North Europe"},
			{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "in", "resourceGroup": "new", "dependsOn": ["[subscriptionResourceId('Microsoft.Resources/resourceGroups', 'new')]"],
			 "properties": {"mode": "Incremental", "expressionEvaluationOptions": {"scope": "inner"}, "template": `+
			doc(`[{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "x", "location": "[resourceGroup().location]", "properties": {}}]`, "")+`}}]`,
			`, "outputs": {"where": {"type": "string", "value": "[deployment().location]"}}`), "")
		if _, err := r.do(http.MethodPut, "/subscriptions/"+sub+deployments+"d1", "", body); err == nil || azerr.From(err).Code != "InvalidDeployment" {
			t.Error(err)
		}
		got := r.deploy("/subscriptions/"+sub+deployments+"d1", `{"location": "westeurope", `+body[1:])
		if at(got, "properties", "provisioningState") != "Succeeded" || at(got, "properties", "outputs", "where", "value") != "westeurope" || at(got, "location") != "westeurope" {
			t.Fatal(compact(got))
		}
		if r.front.bodies["x"] != `{"location":"North Europe","properties":{}}` {
			t.Error(r.front.bodies["x"])
		}
		if _, err := r.do(http.MethodPut, "/subscriptions/"+sub+deployments+"d1", "", `{"location": "eastus", `+body[1:]); err == nil || azerr.From(err).Code != "InvalidDeploymentLocation" {
			t.Error(err)
		}
	})
}

// The service writes secure values into a nested template with outer scope; here
// they stay parameters.
func TestOuterTemplatesKeepSecrets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		id := group + deployments + "d"
		got := r.deploy(id, request(doc(`[{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "in", "properties": {"mode": "Incremental", "template": `+
			doc(`[{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "a", "properties": {"x": "[concat(parameters('plain'), parameters('s'))]", "y": "[variables('v').deep[0]]", "z": "[f.twice(variables('w'))]", "n": "[variables('plain')]"}}]`, "")+`}}]`,
			`, "parameters": {"s": {"type": "securestring"}, "plain": {"type": "string", "defaultValue": "p"}}, "variables": {"v": {"deep": ["[concat('v-', parameters('s'))]", 1]}, "w": "[toUpper(parameters('s'))]", "plain": "[parameters('plain')]"},
			"functions": [{"namespace": "f", "members": {"twice": {"parameters": [{"name": "t", "type": "string"}], "output": {"type": "string", "value": "[concat(parameters('t'), parameters('t'))]"}}}}]`), `{"s": {"value": "hush"}}`))
		if at(got, "properties", "provisioningState") != "Succeeded" || r.front.bodies["a"] != `{"properties":{"x":"phush","y":"v-hush","z":"HUSHHUSH","n":"p"}}` {
			t.Fatal(compact(got), r.front.bodies)
		}
		for _, n := range []string{"d", "in"} {
			resp, err := r.do(http.MethodPost, group+deployments+n, "exportTemplate", "")
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.ToLower(compact(tree(t, resp)) + compact(r.show(group+deployments+n))); strings.Contains(text, "hush") {
				t.Error(text)
			}
		}
	})
}
