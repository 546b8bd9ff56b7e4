package deploy_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/kustos-io/kustos/internal/azerr"
)

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
