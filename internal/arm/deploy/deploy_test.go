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

func TestRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.front.hold = make(chan struct{})
		id := group + deployments + "d1"
		resp, err := r.do(http.MethodPut, id, "", request(doc(`[
			{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "[concat('a', parameters('g'))]", "properties": {}},
			{"type": "Test.Async/things", "apiVersion": "2020-01-01", "name": "b", "dependsOn": ["[concat('a', parameters('g'))]"], "properties": {"s": "[parameters('s')]"}},
			{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "inner", "properties": {"mode": "Incremental", "template": `+
			doc(`[{"type": "Test.Async/things", "apiVersion": "2020-01-01", "name": "c", "properties": {}}]`, "")+`}},
			{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "d", "dependsOn": ["b", "inner"], "properties": {"s": "[parameters('s')]"}}]`,
			`, "parameters": {"g": {"type": "string", "defaultValue": "[newGuid()]"}, "s": {"type": "securestring"}}, "outputs": {"g": {"type": "string", "value": "[parameters('g')]"}}`), `{"s": {"value": "hush"}}`))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // a is done, b and c run
		before := r.show(id)
		r.ops.Close()
		if at(before, "properties", "provisioningState") != "Running" {
			t.Fatal(compact(before))
		}
		close(r.front.hold)
		r.front.hold = nil
		r.start()
		defer func() { r.ops.Close() }()
		if err := r.ops.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := r.ops.Wait(t.Context(), resp.OperationID); err != nil {
			t.Fatal(err)
		}
		got := r.show(id)
		if at(got, "properties", "provisioningState") != "Succeeded" || at(got, "properties", "outputs", "g", "value") != at(before, "properties", "parameters", "g", "value") {
			t.Error(compact(got))
		}
		count := map[string]int{}
		for _, w := range r.front.writes {
			count[w]++
		}
		for w, n := range count {
			if n != 1 {
				t.Errorf("%s %d times", w, n)
			}
		}
		if r.front.bodies["d"] != `{"properties":{"s":"hush"}}` || len(count) != 4 {
			t.Errorf("%v %v", count, r.front.bodies)
		}
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		r.front.hold = make(chan struct{})
		defer close(r.front.hold)
		id := group + deployments + "d1"
		resp, err := r.do(http.MethodPut, id, "", request(doc(`[{"type": "Test.Async/things", "apiVersion": "2020-01-01", "name": "a", "properties": {}}]`, ""), ""))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		_, err = r.do(http.MethodPut, id, "", request(doc(`[]`, ""), ""))
		var wire *azerr.Error
		if !errors.As(err, &wire) || wire.Code != "DeploymentActive" || wire.Status != 409 {
			t.Errorf("a second PUT: %v", err)
		}
		if _, err := r.do(http.MethodDelete, id, "", ""); !errors.As(err, &wire) || wire.Status != 409 {
			t.Errorf("delete: %v", err)
		}
		if c, err := r.do(http.MethodPost, id, "cancel", ""); err != nil || c.Status != 204 {
			t.Fatal(c, err)
		}
		op, err := r.ops.Wait(t.Context(), resp.OperationID)
		if err != nil || op.Status != "Canceled" {
			t.Error(op.Status, err)
		}
		if got := r.show(id); at(got, "properties", "provisioningState") != "Canceled" {
			t.Error(compact(got))
		}
		if _, err := r.do(http.MethodPost, id, "cancel", ""); !errors.As(err, &wire) || wire.Code != "DeploymentCannotBeCancelled" {
			t.Error(err)
		}
		if d, err := r.do(http.MethodDelete, id, "", ""); err != nil || d.Status != 202 || d.Header.Get("Location") == "" {
			t.Error(d, err)
		}
		if _, err := r.do(http.MethodGet, id, "", ""); !errors.As(err, &wire) || wire.Code != "DeploymentNotFound" {
			t.Error(err)
		}
		if d, err := r.do(http.MethodDelete, id, "", ""); err != nil || d.Status != 204 {
			t.Error(d, err)
		}
	})
}

// A deployment that is canceled before its work begins ends too: its operation
// finds the request to cancel when it starts.
func TestCancelBeforeTheBeginning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		r.front.hold = make(chan struct{})
		id := group + deployments + "d1"
		resp, err := r.do(http.MethodPut, id, "", request(doc(`[{"type": "Test.Async/things", "apiVersion": "2020-01-01", "name": "a", "properties": {}}]`, ""), ""))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.ops.Close() // the process goes down
		r.start()
		if err := r.ops.Cancel(t.Context(), resp.OperationID); err != nil {
			t.Fatal(err)
		}
		if err := r.ops.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		op, err := r.ops.Wait(t.Context(), resp.OperationID)
		if got := r.show(id); err != nil || op.Status != "Canceled" || at(got, "properties", "provisioningState") != "Canceled" {
			t.Errorf("%s %v %s", op.Status, err, compact(got))
		}
		close(r.front.hold)
		if d, err := r.do(http.MethodDelete, id, "", ""); err != nil || d.Status != 202 {
			t.Errorf("delete: %v %v", d, err)
		}
	})
}

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
