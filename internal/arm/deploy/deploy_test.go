package deploy_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
)

func TestDeploysInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		got := r.deploy(group+deployments+"d1", request(doc(`[
			{"type": "Test.Async/things", "apiVersion": "2020-01-01", "name": "a", "location": "[resourceGroup().location]", "properties": {"x": "[parameters('p')]", "gone": null}},
			{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "b", "dependsOn": ["c"], "properties": {"from": "[reference('a').x]"}}, // by reference
			{"type": "Test.Poll/things", "apiVersion": "2020-01-01", "name": "c", "properties": {}},
			{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "[concat('loop', copyIndex())]", "copy": {"name": "l", "count": 3}, "dependsOn": ["[resourceId('Test.Sync/things', 'b')]"], "properties": {}},
			{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "never", "condition": false, "properties": {"x": "[reference('nowhere')]"}}]`,
			`, "parameters": {"p": {"type": "string"}, "s": {"type": "securestring"}},
			"outputs": {"o": {"type": "string", "value": "[concat(reference('b').from, '!')]"}, "secret": {"type": "securestring", "value": "[parameters('s')]"},
				"full": {"type": "object", "value": "[reference('a', '2020-01-01', 'Full')]"}, "listed": {"type": "string", "value": "[listStuff('a', '2020-01-01', createObject('q', 1)).action]"}}`),
			`{"p": {"value": "v1"}, "s": {"value": "hush-hush"}}`))
		if at(got, "properties", "provisioningState") != "Succeeded" {
			t.Fatalf("ended as %s", compact(got))
		}
		if diff := cmp.Diff(map[string]any{
			"o": map[string]any{"type": "String", "value": "v1!"}, "secret": map[string]any{"type": "SecureString"}, "listed": map[string]any{"type": "String", "value": "listStuff"},
			"full": map[string]any{"type": "Object", "value": map[string]any{"apiVersion": "2020-01-01", "location": "westeurope", "properties": map[string]any{"x": "v1", "provisioningState": "Succeeded"},
				"subscriptionId": sub, "resourceGroupName": "rg1", "resourceId": "Test.Async/things/a", "referenceApiVersion": "2020-01-01", "condition": true, "isConditionTrue": true,
				"isTemplateResource": true, "isAction": false, "provisioningOperation": "Read"}},
		}, at(got, "properties", "outputs")); diff != "" {
			t.Error(diff)
		}
		w := r.front.writes
		if slices.Index(w, "PUT b") < max(slices.Index(w, "PUT a"), slices.Index(w, "PUT c")) || slices.Index(w, "PUT loop0") < slices.Index(w, "PUT b") || slices.Contains(w, "PUT never") || len(w) != 6 {
			t.Error(w)
		}
		if r.front.bodies["a"] != `{"location":"westeurope","properties":{"x":"v1"}}` {
			t.Error(r.front.bodies["a"])
		}
		if ids := at(got, "properties", "outputResources").([]any); len(ids) != 6 {
			t.Error(ids)
		}
		if params := compact(at(got, "properties", "parameters")); params != `{"p":{"type":"String","value":"v1"},"s":{"type":"SecureString"}}` {
			t.Error(params)
		}
		if strings.Contains(compact(got), "hush-hush") || strings.Contains(r.log.String(), "hush-hush") {
			t.Error("a secret shows")
		}
		deps := at(got, "properties", "dependencies").([]any)
		if at(deps, 0, "resourceName") != "b" || len(at(deps, 0, "dependsOn").([]any)) != 2 {
			t.Error(compact(deps))
		}
		resp, err := r.do(http.MethodGet, group+deployments+"d1/operations", "", "")
		if err != nil {
			t.Fatal(err)
		}
		list := at(tree(t, resp), "value").([]any)
		if len(list) != 7 { // six resources and the outputs
			t.Errorf("%d operations", len(list))
		}
		for _, op := range list {
			if at(op, "properties", "provisioningState") != "Succeeded" || at(op, "properties", "statusCode") == nil {
				t.Error(compact(op))
			}
		}
		one, err := r.do(http.MethodGet, group+deployments+"d1/operations/"+at(list, 0, "operationId").(string), "", "")
		if err != nil || compact(tree(t, one)) != compact(list[0]) {
			t.Error(err)
		}
	})
}

func TestParallelAndSerial(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]int{`"mode": "parallel"`: 6, `"mode": "serial"`: 1, `"mode": "serial", "batchSize": 2`: 2} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			defer func() { r.ops.Close() }()
			began := time.Now()
			got := r.deploy(group+deployments+"d", request(doc(`[{"type": "Test.Async/things", "apiVersion": "2020-01-01", "name": "[concat('n', copyIndex())]", "copy": {"name": "l", "count": 6, `+mode+`}, "properties": {}}]`, ""), ""))
			if at(got, "properties", "provisioningState") != "Succeeded" || r.front.most != want || time.Since(began) != time.Duration(6/want)*time.Second {
				t.Errorf("%s: %d at a time, took %v: %s", mode, r.front.most, time.Since(began), compact(got))
			}
			if want := "PT" + map[int]string{6: "1S", 1: "6S", 2: "3S"}[want]; at(got, "properties", "duration") != want {
				t.Error(at(got, "properties", "duration"))
			}
		})
	}
}

func TestFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		id := group + deployments + "d1"
		body := request(doc(`[
			{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "bad", "properties": {"fail": "no way"}},
			{"type": "Test.Async/things", "apiVersion": "2020-01-01", "name": "worse", "properties": {"failLater": true}},
			{"type": "Test.Async/things", "apiVersion": "2020-01-01", "name": "fine", "properties": {}},
			{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "after", "dependsOn": ["fine"], "properties": {}}]`, ""), "")
		got := r.deploy(id, body)
		want := map[string]any{
			"code": "DeploymentFailed", "target": id,
			"message": "At least one resource deployment operation failed. Please list deployment operations for details. Please see https://aka.ms/arm-deployment-operations for usage details.",
			"details": []any{
				map[string]any{"code": "Refused", "message": "no way", "target": group + "/providers/Test.Sync/things/bad"},
				map[string]any{"code": "ResourceDeploymentFailure", "target": group + "/providers/Test.Async/things/worse",
					"message": "The resource write operation failed to complete successfully, because it reached terminal provisioning state 'Failed'.",
					"details": []any{map[string]any{"code": "BrokeDown", "message": "it broke down"}}},
			},
		}
		if diff := cmp.Diff(want, at(got, "properties", "error")); diff != "" {
			t.Error(diff)
		}
		if slices.Contains(r.front.writes, "PUT after") {
			t.Error("something was started after the failure")
		}
		if ids := compact(at(got, "properties", "outputResources")); ids != `[{"id":"`+group+`/providers/Test.Async/things/fine"}]` {
			t.Error(ids)
		}
		// the same name again, now good
		again := r.deploy(id, strings.ReplaceAll(strings.ReplaceAll(body, `"fail": "no way"`, ""), `"failLater": true`, ""))
		if at(again, "properties", "provisioningState") != "Succeeded" || at(again, "properties", "error") != nil {
			t.Error(compact(again))
		}
	})
}

func TestOutputFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		got := r.deploy(group+deployments+"d1", request(doc(`[]`, `, "outputs": {"good": {"type": "int", "value": 1}, "bad": {"type": "string", "value": "[createObject('a', 1).b]"}, "null": {"type": "string", "value": "[first(createArray())]"}}`), ""))
		want := map[string]any{"code": "DeploymentOutputEvaluationFailed",
			"message": "Unable to evaluate template outputs: 'bad,null'. Please see error details and deployment operations. Please see https://aka.ms/arm-common-errors for usage details.",
			"details": []any{
				map[string]any{"code": "DeploymentOutputEvaluationFailed", "target": "bad", "message": "The template output 'bad' is not valid: The language expression property 'b' doesn't exist, available properties are 'a'."},
				map[string]any{"code": "DeploymentOutputEvaluationFailed", "target": "null", "message": "The template output 'null' is not valid: Template output JToken type is not valid. Expected 'String'. Actual 'Null'.Please see https://aka.ms/arm-template/#outputs for usage details."},
			}}
		if diff := cmp.Diff(want, at(got, "properties", "error")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCompleteMode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		thing := func(n string) string {
			return `{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "` + n + `", "properties": {}}`
		}
		r.deploy(group+deployments+"d1", request(doc(`[`+thing("a")+`,`+thing("b")+`]`, ""), ""))
		got := r.deploy(group+deployments+"d2", strings.Replace(request(doc(`[`+thing("b")+`]`, ""), ""), "Incremental", "Complete", 1))
		if at(got, "properties", "provisioningState") != "Succeeded" || !slices.Contains(r.front.writes, "DELETE a") || slices.Contains(r.front.writes, "DELETE b") {
			t.Error(r.front.writes, compact(got))
		}
		// what a condition leaves out is absent, but for earlier versions of the API
		off := strings.Replace(strings.Replace(request(doc(`[`+thing("b")+`]`, ""), ""), "Incremental", "Complete", 1), `"name": "b"`, `"name": "b", "condition": false`, 1)
		for _, c := range []struct{ version, want string }{{"2018-05-01", "[]"}, {"2019-05-10", "[Delete b]"}} {
			r.version = c.version
			if list, _ := r.whatIf(group+deployments+"d3", off); fmt.Sprint(list) != c.want {
				t.Errorf("%s: %v", c.version, list)
			}
			r.deploy(group+deployments+"d3", off)
			if slices.Contains(r.front.writes, "DELETE b") != (c.want == "[Delete b]") {
				t.Errorf("%s: %v", c.version, r.front.writes)
			}
		}
		loop := request(doc(`[{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "[string(copyIndex())]", "copy": {"name": "l", "count": 0}}]`, ""), "")
		for version, ok := range map[string]bool{"2018-05-01": false, "2019-05-10": true} {
			r.version = version
			if _, err := r.do(http.MethodPost, group+deployments+"d4", "validate", loop); (err == nil) != ok {
				t.Errorf("%s: %v", version, err)
			}
		}
	})
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		r.front.preflight = func(req *provider.Request) error {
			if strings.Contains(string(req.Body), "wrong") {
				return &azerr.Error{Status: 400, Code: "TooBad", Message: "wrong it is"}
			}
			return nil
		}
		body := request(doc(`[{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "a", "properties": {"x": "wrong"}},
			{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "b", "properties": {"x": "wrong", "y": "[reference('a')]"}}]`, ""), "")
		for _, call := range [][2]string{{http.MethodPut, ""}, {http.MethodPost, "validate"}} {
			_, err := r.do(call[0], group+deployments+"d1", call[1], body)
			var wire *azerr.Error
			if !errors.As(err, &wire) || wire.Code != "InvalidTemplateDeployment" || len(wire.Details) != 1 || wire.Details[0].Code != "TooBad" || wire.Details[0].Target != group+"/providers/Test.Sync/things/a" {
				t.Errorf("%v: %v", call, err)
			}
		}
		if _, err := r.do(http.MethodGet, group+deployments+"d1", "", ""); err == nil {
			t.Error("a refused deployment is in the history")
		}
		resp, err := r.do(http.MethodPost, group+deployments+"d1", "validate", strings.ReplaceAll(body, "wrong", "right"))
		if err != nil || at(tree(t, resp), "properties", "provisioningState") != "Succeeded" || len(at(tree(t, resp), "properties", "validatedResources").([]any)) != 2 || len(r.front.writes) != 0 {
			t.Error(err)
		}
	})
}

func TestDebugContent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		text := request(doc(`[{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "a", "properties": {"x": "[concat('<', parameters('s'), '>')]"}}]`, `, "parameters": {"s": {"type": "securestring"}}`), `{"s": {"value": "hush"}}`)
		for debug, want := range map[string]int{`"requestContent, responseContent"`: 2, `"requestContent"`: 1, `"none"`: 0} {
			r.deploy(group+deployments+"d", strings.Replace(text, `{"mode"`, `{"debugSetting": {"detailLevel": `+debug+`}, "mode"`, 1))
			resp, err := r.do(http.MethodGet, group+deployments+"d/operations", "", "")
			if err != nil {
				t.Fatal(err)
			}
			got := compact(tree(t, resp))
			if strings.Count(got, "REDACTED") != want || strings.Contains(got, "hush") {
				t.Errorf("%s: %s", debug, got)
			}
		}
		if r.front.bodies["a"] != `{"properties":{"x":"<hush>"}}` {
			t.Error(r.front.bodies)
		}
	})
}

func TestListAndExport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		for _, n := range []string{"one", "two", "three"} {
			r.deploy(group+deployments+n, request(doc("[ /* none */ ]", ""), ""))
			time.Sleep(time.Minute)
		}
		resp, err := r.do(http.MethodGet, group+"/providers/Microsoft.Resources/deployments", "", "")
		if err != nil {
			t.Fatal(err)
		}
		list := tree(t, resp)
		if at(list, "value", 0, "name") != "three" || at(list, "value", 2, "name") != "one" || at(list, "nextLink") != nil {
			t.Error(compact(list))
		}
		resp, err = r.do(http.MethodPost, group+deployments+"ONE", "exportTemplate", "")
		if err != nil || compact(at(tree(t, resp), "template")) != `{"$schema":"https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#","contentVersion":"1.0.0.0","resources":[]}` {
			t.Error(err)
		}
	})
}
