package deploy_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
)

// What a nested template is given by one that runs before it is known only
// then: until then nothing that rests on it may refuse the deployment.
func TestValuesOfEarlierDeployments(t *testing.T) {
	t.Parallel()
	first := `{"type": "Microsoft.Resources/deployments", "apiVersion": "2022-09-01", "name": "first", "properties": {"mode": "Incremental", "expressionEvaluationOptions": {"scope": "inner"}, "template": ` +
		doc(`[{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "made", "properties": {"x": "y"}}]`,
			`, "outputs": {"list": {"type": "array", "value": "[createArray('a', reference('made').x)]"}, "yes": {"type": "bool", "value": "[equals(reference('made').x, 'y')]"}}`) + `}}`
	second := func(parameters, template string) string {
		return `{"type": "Microsoft.Resources/deployments", "apiVersion": "2022-09-01", "name": "second", "properties": {"mode": "Incremental", "expressionEvaluationOptions": {"scope": "inner"}, "parameters": ` +
			parameters + `, "template": ` + template + `}}`
	}
	thing := func(name, rest string) string {
		return `{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "` + name + `", ` + rest + `}`
	}
	const list = `{"l": {"value": "[reference('first').outputs.list.value]"}}`
	const declared = `, "parameters": {"l": {"type": "array"}}`
	for name, c := range map[string]struct{ resource, made, body string }{
		"a loop's count": {second(list, doc(`[`+thing("[concat('n', copyIndex(), parameters('l')[copyIndex()])]", `"copy": {"name": "c", "count": "[length(parameters('l'))]"}, "properties": {"v": 1}`)+`]`, declared)),
			"n1y", `{"properties":{"v":1}}`},
		"a loop that is named the same": {second(list, doc(`[`+thing("[parameters('l')[copyIndex()]]", `"copy": {"name": "c", "count": "[length(parameters('l'))]", "mode": "serial"}, "properties": {}`)+`,`+
			thing("n", `"dependsOn": ["c"], "properties": {"v": 1}`)+`]`, declared)), "n", `{"properties":{"v":1}}`},
		"a property's count": {second(list, doc(`[`+thing("n", `"properties": {"a": 1, "copy": [{"name": "r", "count": "[length(parameters('l'))]", "input": "[parameters('l')[copyIndex('r')]]"}]}`)+`]`, declared)),
			"n", `{"properties":{"a":1,"r":["a","y"]}}`},
		"a variable's count": {second(list, doc(`[`+thing("n", `"properties": {"v": "[variables('v')]", "n": "[length(variables('v'))]"}`)+`]`,
			declared+`, "variables": {"copy": [{"name": "v", "count": "[length(parameters('l'))]", "input": "[concat(parameters('l')[copyIndex('v')], '!')]"}]}`)),
			"n", `{"properties":{"v":["a!","y!"],"n":2}}`},
		"a part of a variable": {second(list, doc(`[`+thing("[variables('v').name]", `"properties": {"v": "[variables('v').list[1]]", "n": "[length(variables('v').list)]", "whole": "[variables('v')]"}`)+`]`,
			declared+`, "variables": {"v": {"list": "[parameters('l')]", "name": "n"}}`)),
			"n", `{"properties":{"v":"y","n":2,"whole":{"list":["a","y"],"name":"n"}}}`},
		"a condition": {second(`{"c": {"value": "[reference('first').outputs.yes.value]"}}`, doc(`[`+thing("n", `"condition": "[parameters('c')]", "properties": {"v": 1}`)+`]`, `, "parameters": {"c": {"type": "bool"}}`)),
			"n", `{"properties":{"v":1}}`},
		"a parameter as an expression": {second(`{"l": "[if(reference('first').outputs.yes.value, createObject('value', reference('first').outputs.list.value), createObject('value', createArray()))]"}`,
			doc(`[`+thing("n", `"properties": {"v": "[parameters('l')]"}`)+`]`, declared)), "n", `{"properties":{"v":["a","y"]}}`},
		"a parameter made by a loop": {second(`{"l": {"copy": [{"name": "value", "count": 2, "input": "[concat(reference('first').outputs.list.value[copyIndex('value')], '?')]"}]}}`,
			doc(`[`+thing("n", `"properties": {"v": "[parameters('l')]"}`)+`]`, declared)), "n", `{"properties":{"v":["a?","y?"]}}`},
		"a template as an expression": {second(list, `"[json('`+strings.ReplaceAll(strings.ReplaceAll(doc(`[`+thing("n", `"properties": {"v": "[parameters('l')]"}`)+`]`, declared), `'`, `''`), `"`, `\"`)+`')]"`),
			"n", `{"properties":{"v":["a","y"]}}`},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			defer func() { r.ops.Close() }()
			text := request(doc(`[`+first+`, `+c.resource+`]`, ""), "")
			id := group + deployments + "d1"
			if _, err := r.do(http.MethodPost, id, "validate", text); err != nil {
				t.Fatalf("%s: validate: %v", name, err)
			}
			r.whatIf(id, text)
			if got := r.deploy(id, text); at(got, "properties", "provisioningState") != "Succeeded" || r.front.bodies[c.made] != c.body {
				t.Errorf("%s: %s\n%s", name, compact(got), r.front.bodies[c.made])
			}
			if _, got := r.whatIf(id, text); strings.Contains(compact(got), `"delta"`) {
				t.Errorf("%s: the second time: %s", name, compact(got))
			}
		})
	}
}

// Null means something to a nested template.
func TestNullsReachNestedTemplates(t *testing.T) {
	t.Parallel()
	nested := func(parameters, template string) string {
		return request(doc(`[{"type": "Microsoft.Resources/deployments", "apiVersion": "2022-09-01", "name": "in", "properties": {"mode": "Incremental", "expressionEvaluationOptions": {"scope": "inner"}, "parameters": `+
			parameters+`, "template": `+template+`}}]`, `, "outputs": {"o": {"type": "string", "value": "[reference('in').outputs.o.value]"}}`), "")
	}
	output := `, "outputs": {"o": {"type": "string", "value": "[if(empty(%s), 'none', %s)]"}}`
	out := func(e string) string { return strings.ReplaceAll(output, "%s", e) }
	for name, c := range map[string]struct{ body, want string }{
		"nullable":     {nested(`{"p": {"value": "[null()]"}}`, doc(`[]`, `, "languageVersion": "2.0", "parameters": {"p": {"type": "string", "nullable": true}}`+out("parameters('p')"))), "none"},
		"with default": {nested(`{"p": {"value": null}}`, doc(`[]`, `, "parameters": {"p": {"type": "string", "defaultValue": "d"}}`+out("parameters('p')"))), "d"},
		"inside":       {nested(`{"p": {"value": {"a": null}}}`, doc(`[]`, `, "parameters": {"p": {"type": "object"}}`+out("parameters('p').a"))), "none"},
		"variable":     {nested(`{}`, doc(`[]`, `, "variables": {"v": null}`+out("variables('v')"))), "none"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			defer func() { r.ops.Close() }()
			if got := r.deploy(group+deployments+"d", strings.Replace(c.body, "[]"+`, "languageVersion": "2.0"`, "{}"+`, "languageVersion": "2.0"`, 1)); at(got, "properties", "outputs", "o", "value") != c.want {
				t.Errorf("%s: %s", name, compact(got))
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		_, err := r.do(http.MethodPut, group+deployments+"d", "", nested(`{"p": {"value": null}}`, doc(`[]`, `, "parameters": {"p": {"type": "string"}}`+out("parameters('p')"))))
		if err == nil || !strings.Contains(azerr.From(err).Message, "Expected 'String, Uri'. Actual 'Null'") {
			t.Error(err)
		}
	})
}

// A role that the deployment defines may be assigned in it; any other unknown one may not.
func TestRolesOfTheSameTemplate(t *testing.T) {
	t.Parallel()
	const known = "11111111-0000-4000-8000-000000000001"
	for role, want := range map[string]string{known: "", "11111111-0000-4000-8000-000000000002": "RoleDefinitionDoesNotExist"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			defer func() { r.ops.Close() }()
			r.front.preflight = func(req *provider.Request) error {
				if req.ID.Type() == "Microsoft.Authorization/roleAssignments" {
					return azerr.RoleDefinitionDoesNotExist(role, http.StatusBadRequest)
				}
				return nil
			}
			_, err := r.do(http.MethodPost, group+deployments+"d", "validate", request(doc(`[
				{"type": "Microsoft.Authorization/roleDefinitions", "apiVersion": "2022-04-01", "name": "`+known+`", "properties": {}},
				{"type": "Microsoft.Authorization/roleAssignments", "apiVersion": "2022-04-01", "name": "a", "dependsOn": ["`+known+`"],
				 "properties": {"roleDefinitionId": "[subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '`+role+`')]"}}]`, ""), ""))
			got := ""
			if err != nil {
				got = azerr.From(err).Details[0].Code
			}
			if got != want {
				t.Errorf("%s: %v", role, err)
			}
		})
	}
}
