package arm_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/arm"
	"github.com/kustos-io/kustos/internal/arm/provider"
)

const (
	subID  = "0b1f6471-1bf0-4dda-aec3-111122223333"
	tenant = "72f988bf-0000-4000-8000-2d7cd011db47"
	sub    = "/subscriptions/" + subID
)

func TestAdmits(t *testing.T) {
	t.Parallel()
	const box = sub + "/resourceGroups/rg1/providers/Contoso.Toys/boxes/b1"
	tests := map[string]struct {
		method, path, body string
		id, action, asked  string
	}{
		"get":               {"GET", box + "?api-version=2024-01-01", "", box, "", "Contoso.Toys/boxes/read @ " + box},
		"case and slashes":  {"GET", sub + "/resourcegroups/RG1/PROVIDERS/contoso.toys//BOXES/b1?API-version=2024-01-01", "", sub + "/resourceGroups/RG1/providers/contoso.toys/BOXES/b1", "", "Contoso.Toys/boxes/read @ " + sub + "/resourceGroups/RG1/providers/contoso.toys/BOXES/b1"},
		"escaped key":       {"GET", box + "?api%2Dversion=2024-01-01", "", box, "", "Contoso.Toys/boxes/read @ " + box},
		"escaped blank":     {"GET", box + "%20x?api-version=2024-01-01", "", box + " x", "", "Contoso.Toys/boxes/read @ " + box + " x"},
		"put":               {"PUT", box + "?api-version=2024-01-01", `{"a":1}`, box, "", "Contoso.Toys/boxes/write @ " + box},
		"patch":             {"PATCH", box + "?api-version=2024-01-01", `{}`, box, "", "Contoso.Toys/boxes/write @ " + box},
		"delete":            {"DELETE", box + "?api-version=2024-01-01", "", box, "", "Contoso.Toys/boxes/delete @ " + box},
		"child":             {"PUT", box + "/toys/t?api-version=2024-01-01", `{}`, box + "/toys/t", "", "Contoso.Toys/boxes/toys/write @ " + box + "/toys/t"},
		"child list":        {"GET", box + "/toys?api-version=2024-01-01", "", box + "/toys", "", "Contoso.Toys/boxes/toys/read @ " + box},
		"list in group":     {"GET", sub + "/resourceGroups/rg1/providers/Contoso.Toys/boxes?api-version=2024-01-01", "", sub + "/resourceGroups/rg1/providers/Contoso.Toys/boxes", "", "Contoso.Toys/boxes/read @ " + sub + "/resourceGroups/rg1"},
		"list in sub":       {"GET", sub + "/providers/Contoso.Toys/boxes?api-version=2024-01-01", "", sub + "/providers/Contoso.Toys/boxes", "", "Contoso.Toys/boxes/read @ " + sub},
		"action":            {"POST", box + "/open?api-version=2024-01-01", "", box, "open", "Contoso.Toys/boxes/open/action @ " + box},
		"action by get":     {"GET", box + "/listtoys?api-version=2024-01-01", "", box, "listtoys", "Contoso.Toys/boxes/listtoys/read @ " + box},
		"action in two":     {"POST", box + "/lids/close?api-version=2024-01-01", `{}`, box, "lids/close", "Contoso.Toys/boxes/lids/close/action @ " + box},
		"namespace action":  {"POST", sub + "/providers/Contoso.Toys/checkNameAvailability?api-version=2024-01-01", `{}`, sub + "/providers/Contoso.Toys", "checkNameAvailability", "Contoso.Toys/checkNameAvailability/action @ " + sub + "/providers/Contoso.Toys"},
		"extension":         {"PUT", box + "/providers/Contoso.Toys/labels/l?api-version=2024-01-01", `{}`, box + "/providers/Contoso.Toys/labels/l", "", "Contoso.Toys/labels/write @ " + box + "/providers/Contoso.Toys/labels/l"},
		"group":             {"PUT", sub + "/resourcegroups/new?api-version=2021-04-01", `{}`, "/providers/Microsoft.Resources/subscriptions/" + subID + "/resourcegroups/new", "", "Microsoft.Resources/subscriptions/resourceGroups/write @ " + sub + "/resourceGroups/new"},
		"groups":            {"GET", sub + "/resourcegroups?api-version=2021-04-01", "", "/providers/Microsoft.Resources/subscriptions/" + subID + "/resourcegroups", "", "Microsoft.Resources/subscriptions/resourceGroups/read @ " + sub},
		"resources":         {"GET", sub + "/resources?api-version=2021-04-01", "", "/providers/Microsoft.Resources/subscriptions/" + subID + "/resources", "", "Microsoft.Resources/subscriptions/resources/read @ " + sub},
		"subscription":      {"GET", sub + "?api-version=2021-04-01", "", "/providers/Microsoft.Resources/subscriptions/" + subID, "", "Microsoft.Resources/subscriptions/read @ " + sub},
		"register":          {"POST", sub + "/providers/Contoso.Toys/register?api-version=2021-04-01", "", "/providers/Microsoft.Resources/subscriptions/" + subID + "/providers/Contoso.Toys", "register", "Contoso.Toys/register/action @ " + sub},
		"all subscriptions": {"GET", "/subscriptions?api-version=2021-04-01", "", "/providers/Microsoft.Resources/subscriptions", "", ""},
		"tags":              {"GET", box + "/providers/Microsoft.Resources/tags/default?api-version=2021-04-01", "", box + "/providers/Microsoft.Resources/tags/default", "", "Microsoft.Resources/tags/read @ " + box + "/providers/Microsoft.Resources/tags/default"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			a := h.do(t, tt.method, tt.path, tt.body, "owner")
			if a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if a.json["id"] != tt.id || a.json["action"] != tt.action || a.json["body"] != tt.body {
				t.Errorf("provider got %s", a.body)
			}
			if got := h.auth.last(); got != tt.asked {
				t.Errorf("asked for %q, want %q", got, tt.asked)
			}
			if a.json["token"] != "" {
				t.Error("the provider sees the token")
			}
			if a.json["firstParty"] != "" {
				t.Error("first-party authority came from outside")
			}
			if a.header.Get("Etag") != `"1"` {
				t.Error("no ETag")
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	const (
		toysAt  = "/resourceGroups/rg1/providers/Contoso.Toys/boxes/b1"
		version = "?api-version=2024-01-01"
	)
	tests := map[string]struct {
		method, path, body, token string
		status                    int
		code, message             string
	}{
		"no version":         {"GET", sub + toysAt, "", "", 400, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests."},
		"malformed version":  {"GET", sub + toysAt + "?api-version=2024-13-01", "", "owner", 400, "InvalidApiVersionParameter", "The api-version '2024-13-01' is invalid. The supported versions are '2024-01-01,2022-01-01-preview,2020-06-01'."},
		"old version":        {"GET", sub + toysAt + "?api-version=2020-05-31", "", "owner", 400, "NoRegisteredProviderFound", "No registered resource provider found for location 'null' and API version '2020-05-31' for type 'boxes'. The supported api-versions are '2024-01-01, 2022-01-01-preview, 2020-06-01'. The supported locations are 'West Europe, East US'."},
		"old, with location": {"PUT", sub + toysAt + "?api-version=2020-05-31", `{"location":"East US"}`, "owner", 400, "NoRegisteredProviderFound", "location 'eastus'"},
		"old own version":    {"GET", sub + "/resourcegroups?api-version=2010-01-01", "", "owner", 400, "InvalidApiVersionParameter", "The supported versions are '2025-04-01,"},
		"no token":           {"GET", sub + toysAt + version, "", "", 401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."},
		"garbage token":      {"GET", sub + toysAt + version, "", "x", 401, "InvalidAuthenticationToken", "The access token is invalid."},
		"expired":            {"GET", sub + toysAt + version, "", "expired", 401, "ExpiredAuthenticationToken", "The access token expiry UTC time '1/2/2026 3:04:05 AM' is earlier than current UTC time '1/6/2026 12:00:00 PM'."},
		"wrong audience":     {"GET", sub + toysAt + version, "", "vault", 401, "InvalidAuthenticationTokenAudience", "'https://vault.azure.net'"},
		"wrong tenant":       {"GET", sub + toysAt + version, "", "foreign", 401, "InvalidAuthenticationTokenTenant", "https://sts.windows.net/" + tenant + "/"},
		"stranger":           {"GET", sub + toysAt + version, "", "stranger", 403, "AuthorizationFailed", "The client 'stranger-app' with object id 'stranger-oid' does not have authorization to perform action 'Contoso.Toys/boxes/read' over scope '" + sub + toysAt + "' or the scope is invalid. If access was recently granted, please refresh your credentials."},
		"stranger's delete":  {"DELETE", sub + toysAt + version, "", "stranger", 403, "AuthorizationFailed", "Contoso.Toys/boxes/delete"},
		"stranger, bad body": {"PUT", sub + toysAt + version, "{", "stranger", 403, "AuthorizationFailed", ""},
		"bad subscription":   {"GET", "/subscriptions/nope" + toysAt + version, "", "owner", 400, "InvalidSubscriptionId", "'nope'"},
		"no subscription":    {"GET", "/subscriptions/" + tenant + toysAt + version, "", "owner", 404, "SubscriptionNotFound", "The subscription '" + tenant + "' could not be found."},
		"no group":           {"PUT", sub + "/resourceGroups/none/providers/Contoso.Toys/boxes/b" + version, "{}", "owner", 404, "ResourceGroupNotFound", "Resource group 'none' could not be found."},
		"no group to read":   {"GET", sub + "/resourceGroups/none/resources?api-version=2021-04-01", "", "owner", 404, "ResourceGroupNotFound", ""},
		"dying group":        {"PUT", sub + "/resourceGroups/Dying/providers/Contoso.Toys/boxes/b" + version, "{}", "owner", 409, "ResourceGroupBeingDeleted", "'dying'"},
		"namespace":          {"GET", sub + "/resourceGroups/rg1/providers/Contoso.None/boxes/b1" + version, "", "owner", 404, "InvalidResourceNamespace", "The resource namespace 'Contoso.None' is invalid."},
		"type":               {"GET", sub + "/resourceGroups/rg1/providers/Contoso.Toys/crates/b1" + version, "", "owner", 404, "InvalidResourceType", "The resource type 'crates' could not be found in the namespace 'Contoso.Toys' for api version '2024-01-01'. The supported api-versions are '2024-01-01,2022-01-01-preview,2021-01-01,2020-06-01'."},
		"own type":           {"GET", sub + "/resourceGroups/rg1/nothing?api-version=2021-04-01", "", "owner", 404, "InvalidResourceType", "subscriptions/resourceGroups/nothing"},
		"escaped slash":      {"GET", sub + "/resourceGroups/rg1%2Fproviders?api-version=2021-04-01", "", "owner", 400, "InvalidApiVersionParameter", ""},
		"root":               {"GET", "/?api-version=2021-04-01", "", "owner", 400, "InvalidApiVersionParameter", ""},
		"root, no version":   {"GET", "/", "", "owner", 400, "MissingApiVersionParameter", ""},
		"put on list":        {"PUT", sub + "/providers/Contoso.Toys/boxes" + version, "{}", "owner", 405, "MethodNotAllowed", "Contoso.Toys/boxes"},
		"post on resource":   {"POST", sub + toysAt + version, "{}", "owner", 405, "MethodNotAllowed", "Contoso.Toys/boxes"},
		"odd method":         {"OPTIONS", sub + toysAt + version, "", "owner", 405, "MethodNotAllowed", "OPTIONS"},
		"broken json":        {"PUT", sub + toysAt + version, "{\"a\":\n oops}", "owner", 400, "InvalidRequestContent", "The request content was invalid and could not be deserialized: 'The JSON is malformed. Character: 'o'. Path '', line 2, position 2'."},
		"cut json":           {"PUT", sub + toysAt + version, `{"a":[1,2`, "owner", 400, "InvalidRequestContent", "Unexpected end when reading JSON. Path '', line 1, position 9"},
		"relaxed json":       {"PUT", sub + toysAt + version, `{a: 1}`, "owner", 400, "InvalidRequestContent", "position 2"},
		"two values":         {"PUT", sub + toysAt + version, `{} {}`, "owner", 400, "InvalidRequestContent", ""},
		"no body":            {"PUT", sub + toysAt + version, "", "owner", 400, "InvalidRequestContent", "A request body is required"},
		"array":              {"PATCH", sub + toysAt + version, "[]", "owner", 400, "InvalidRequestContent", "not an array"},
		"bad utf-8":          {"PUT", sub + toysAt + version, "{\"a\":\"\xff\"}", "owner", 400, "InvalidRequestContent", "UTF-8"},
		"large":              {"PUT", sub + toysAt + version, strings.Repeat(" ", arm.MaxBody+1), "owner", 413, "RequestContentTooLarge", "4194304"},
		"deployments":        {"PUT", sub + "/resourceGroups/rg1/providers/Microsoft.Resources/deployments/d?api-version=2021-04-01", "{}", "owner", 404, "InvalidResourceType", "deployments"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newHouse(t).do(t, tt.method, tt.path, tt.body, tt.token)
			if a.status != tt.status || a.code() != tt.code || !strings.Contains(a.message(), tt.message) {
				t.Errorf("got %d %s\nwant %d %s: %s", a.status, a.body, tt.status, tt.code, tt.message)
			}
			if a.header.Get("x-ms-failure-cause") != "gateway" || a.header.Get("x-ms-error-code") != tt.code {
				t.Errorf("headers %v", a.header)
			}
			if challenge := a.header.Get("WWW-Authenticate"); (a.status == 401) != strings.HasPrefix(challenge, `Bearer authorization_uri="https://login.microsoftonline.com/`+tenant+`", error="invalid_token", error_description="`) {
				t.Errorf("challenge %q", challenge)
			}
			for _, k := range []string{"x-ms-request-id", "x-ms-correlation-request-id", "x-ms-routing-request-id", "Cache-Control", "Strict-Transport-Security"} {
				if a.header.Get(k) == "" {
					t.Errorf("no header %s", k)
				}
			}
		})
	}
}

func TestShape(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for asked, want := range map[string]string{
		"2024-01-01": "2024-01-01", "2031-02-28": "2024-01-01", "2023-12-31": "2022-01-01-preview", "2022-01-01-preview": "2022-01-01-preview",
		"2022-01-01": "2022-01-01-preview", "2021-12-31-PREVIEW": "2020-06-01", "2020-06-01": "2020-06-01", "2024-01-01-preview": "2024-01-01", "2020-06-01-preview": "2020-06-01",
	} {
		a := h.do(t, "GET", sub+"/providers/Contoso.Toys/boxes?api-version="+asked, "", "owner")
		if a.json["shape"] != want || a.json["version"] != asked {
			t.Errorf("%s is shaped by %v, want %s", asked, a.json["shape"], want)
		}
	}
}

func TestDeploymentsGetRawText(t *testing.T) {
	t.Parallel()
	const text = `{"properties": {template:{ /* x */ 'a': 1, }}}`
	in := sub + "/resourceGroups/rg1/providers/Microsoft.Resources/deployments/d"
	tests := map[string]struct{ method, path, id, action, asked string }{
		"put":            {"PUT", in, in, "", "Microsoft.Resources/deployments/write @ " + in},
		"validate":       {"POST", in + "/validate", in, "validate", "Microsoft.Resources/deployments/validate/action @ " + in},
		"subscription":   {"PUT", sub + "/providers/Microsoft.Resources/deployments/d", sub + "/providers/Microsoft.Resources/deployments/d", "", "Microsoft.Resources/deployments/write @ " + sub + "/providers/Microsoft.Resources/deployments/d"},
		"operations":     {"GET", sub + "/resourcegroups/rg1/deployments/d/operations", in + "/operations", "", "Microsoft.Resources/deployments/operations/read @ " + in},
		"one operation":  {"GET", sub + "/resourcegroups/rg1/deployments/d/operations/7", in + "/operations/7", "", "Microsoft.Resources/deployments/operations/read @ " + in + "/operations/7"},
		"status":         {"GET", in + "/operationStatuses/08", in + "/operationStatuses/08", "", "Microsoft.Resources/deployments/operationStatuses/read @ " + in + "/operationStatuses/08"},
		"list":           {"GET", sub + "/resourcegroups/rg1/providers/Microsoft.Resources/deployments/", strings.TrimSuffix(in, "/d"), "", "Microsoft.Resources/deployments/read @ " + sub + "/resourceGroups/rg1"},
		"tenant":         {"PUT", "/providers/Microsoft.Resources/deployments/d", "/providers/Microsoft.Resources/deployments/d", "", "Microsoft.Resources/deployments/write @ /providers/Microsoft.Resources/deployments/d"},
		"management":     {"PUT", "/providers/Microsoft.Management/managementGroups/m/providers/Microsoft.Resources/deployments/d", "/providers/Microsoft.Management/managementGroups/m/providers/Microsoft.Resources/deployments/d", "", "Microsoft.Resources/deployments/write @ /providers/Microsoft.Management/managementGroups/m/providers/Microsoft.Resources/deployments/d"},
		"hash of a text": {"POST", "/providers/Microsoft.Resources/calculateTemplateHash", "/providers/Microsoft.Resources", "calculateTemplateHash", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.SetDeployments(&deployer{})
			a := h.do(t, tt.method, tt.path+"?api-version=2021-04-01", text, "owner")
			if a.status != 200 || a.json["id"] != tt.id || a.json["action"] != tt.action || a.json["body"] != text {
				t.Errorf("%d %s", a.status, a.body)
			}
			if got := h.auth.last(); got != tt.asked {
				t.Errorf("asked for %q, want %q", got, tt.asked)
			}
		})
	}
}

func TestProviderErrors(t *testing.T) {
	t.Parallel()
	p := toys()
	p.handle = func(_ context.Context, req *provider.Request) (*provider.Response, error) {
		switch req.ID.Name() {
		case "absent":
			return nil, fmt.Errorf("read box: %w", provider.NotFound(req.ID))
		case "broken":
			return nil, io.ErrUnexpectedEOF
		case "none":
			return nil, nil
		}
		panic("row: secret")
	}
	h := newHouse(t, p)
	for name, want := range map[string]struct {
		status int
		code   string
		cause  string
	}{
		"absent": {404, "ResourceNotFound", "gateway"}, "broken": {500, "InternalServerError", ""}, "none": {500, "InternalServerError", ""}, "panics": {500, "InternalServerError", ""},
	} {
		a := h.do(t, "GET", sub+"/resourceGroups/rg1/providers/Contoso.Toys/boxes/"+name+"?api-version=2024-01-01", "", "owner")
		if a.status != want.status || a.code() != want.code || a.header.Get("x-ms-failure-cause") != want.cause || strings.Contains(a.body, "secret") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if head := h.do(t, "HEAD", sub+"/resourceGroups/rg1/providers/Contoso.Toys/boxes/"+name+"?api-version=2024-01-01", "", "owner"); head.status != want.status {
			t.Errorf("HEAD %s: %d", name, head.status)
		}
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	a := newHouse(t).do(t, "HEAD", sub+"/resourceGroups/rg1/providers/Contoso.Toys/boxes/b?api-version=2024-01-01", "", "owner")
	if a.status != 204 || a.body != "" || a.header.Get("Etag") == "" {
		t.Errorf("%d %q %v", a.status, a.body, a.header)
	}
}

func TestQuotaHeader(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, want := range []string{"11999", "11998"} {
		a := h.do(t, "GET", sub+"?api-version=2021-04-01", "", "owner")
		if got := a.header.Get("x-ms-ratelimit-remaining-subscription-reads"); got != want {
			t.Errorf("reads left %q, want %q", got, want)
		}
	}
	if got := h.do(t, "GET", "/tenants?api-version=2021-04-01", "", "owner").header.Get("x-ms-ratelimit-remaining-tenant-reads"); got != "11999" {
		t.Errorf("tenant reads left %q", got)
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a := h.do(t, "GET", "/metadata/endpoints?api-version=2015-01-01", "", "")
	if a.status != 200 || a.json["graphEndpoint"] == nil || a.json["authentication"] == nil {
		t.Errorf("2015: %s", a.body)
	}
	a = h.do(t, "GET", "/metadata/endpoints?api-version=2022-09-01", "", "")
	if a.json["name"] != "AzureCloud" || a.json["resourceManager"] != "https://management.azure.com/" || a.json["microsoftGraphResourceId"] == nil {
		t.Errorf("2022: %s", a.body)
	}
	a = h.do(t, "GET", "/metadata/endpoints?api-version=2019-05-01", "", "")
	var list []map[string]any
	if err := json.Unmarshal([]byte(a.body), &list); err != nil || len(list) != 1 {
		t.Fatalf("2019: %s", a.body)
	}
	for _, k := range []string{"name", "authentication", "resourceManager", "sqlManagement", "batch", "gallery", "graphAudience", "vmImageAliasDoc", "media", "suffixes"} {
		if list[0][k] == nil {
			t.Errorf("2019 lacks %s", k)
		}
	}
	if a := h.do(t, "GET", "/metadata/endpoints?api-version=x", "", ""); a.code() != "InvalidApiVersionParameter" {
		t.Errorf("bad version: %s", a.body)
	}
}
