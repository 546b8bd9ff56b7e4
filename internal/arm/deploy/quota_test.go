package deploy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
)

// Above resource groups a scope's deployments are kept in ten locations at most.
func TestLocationQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		scope := "/subscriptions/" + sub + deployments
		at := func(location string) string {
			return `{"location": "` + location + `", ` + request(doc("[]", ""), "")[1:]
		}
		for i := range 10 {
			r.deploy(fmt.Sprintf("%sd%d", scope, i), at(fmt.Sprintf("region%d", i)))
		}
		_, err := r.do(http.MethodPut, scope+"one-more", "", at("Region 10"))
		const want = "Creating the deployment 'one-more' would exceed the deployment location quota. The current scope allows deployments to be created in at most '10' locations. "
		if e := azerr.From(err); err == nil || e.Code != "DeploymentQuotaExceeded" || e.Status != http.StatusConflict || !strings.HasPrefix(e.Message, want) || !strings.Contains(e.Message, "REGION3") {
			t.Fatal(err)
		}
		r.deploy(scope+"known-place", at("Region 3"))
		r.deploy(scope+"d3", at("region3"))
	})
}

// A type, namespace or version nobody serves is refused with the front door's
// own words, and below them with the resource's full type and its place.
func TestWhatIsNotServedHasAPlace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	defer func() { r.ops.Close() }()
	for _, code := range []string{"InvalidResourceType", "InvalidResourceNamespace", "NoRegisteredProviderFound"} {
		r.front.preflight = func(*provider.Request) error {
			return &azerr.Error{Status: http.StatusNotFound, Code: code, Message: "the front door's words"}
		}
		body := request("\n"+doc(`[
  {"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "a", "properties": {}}]`, ""), "")
		for _, action := range []string{"validate", "whatIf"} {
			_, err := r.do(http.MethodPost, group+deployments+"d", action, body)
			if err == nil {
				t.Fatalf("%s %s: not refused", code, action)
			}
			e := azerr.From(err)
			if e.Code != "InvalidTemplateDeployment" || len(e.Details) != 1 || e.Details[0].Code != code || e.Details[0].Message != "the front door's words" || len(e.Details[0].Details) != 1 {
				t.Fatalf("%s %s: %+v", code, action, e)
			}
			inner := e.Details[0].Details[0]
			want := "The template resource 'a' of type 'Test.Sync/things' at line '3' and column '3' cannot be deployed: the type is not available with api version '2020-01-01'."
			if inner.Code != code || inner.Message != want || inner.Target != group+"/providers/Test.Sync/things/a" || fmt.Sprintf("%+v", inner.Info) != "[{Type:TemplateViolation Info:{LineNumber:3 LinePosition:3 Path:properties.template.resources[0]}}]" {
				t.Errorf("%s %s: %+v", code, action, inner)
			}
		}
	}
}

func TestTargetGroups(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	defer func() { r.ops.Close() }()
	nested := func(from, n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf(`{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "n", "resourceGroup": "g%d", "properties": {"mode": "Incremental", "template": %s}}`, from+i, doc("[]", ""))
			r.front.resources[strings.ToLower(fmt.Sprintf("/subscriptions/%s/resourceGroups/g%d", sub, from+i))] = map[string]any{"id": "x", "name": "g", "type": "Microsoft.Resources/resourceGroups", "location": "westeurope"}
		}
		return strings.Join(list, ",")
	}
	inner := `{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "more", "properties": {"mode": "Incremental", "template": ` + doc("["+nested(700, 101)+"]", "") + `}}`
	_, err := r.do(http.MethodPost, group+deployments+"d", "validate", request(doc("["+nested(0, 700)+","+inner+"]", ""), ""))
	if e := azerr.From(err); err == nil || e.Code != "InvalidTemplate" || !strings.Contains(e.Message, "The number of target resource groups limit exceeded. Limit: '800' and actual: '801'.") {
		t.Error(err)
	}
}
