package arm_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

func parseID(t *testing.T, text string) ids.ID {
	t.Helper()
	id, err := ids.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func code(err error) string {
	if err == nil {
		return ""
	}
	return azerr.From(err).Code
}

func TestDispatch(t *testing.T) {
	t.Parallel()
	const box = sub + "/resourceGroups/rg1/providers/Contoso.Toys/boxes/b"
	owner := authz.Principal{ObjectID: "owner-oid"}
	kusto := authz.Principal{FirstParty: "Microsoft.Kusto"}
	resourceManager := authz.Principal{FirstParty: "Microsoft.Resources"}
	tests := map[string]struct {
		method, id, version, body string
		by                        authz.Principal
		code                      string
	}{
		"owner writes":            {"PUT", box, "2024-01-01", `{}`, owner, ""},
		"stranger reads":          {"GET", box, "2024-01-01", "", authz.Principal{ObjectID: "s"}, "AuthorizationFailed"},
		"nobody reads":            {"GET", box, "2024-01-01", "", authz.Principal{}, "AuthorizationFailed"},
		"first party reads":       {"GET", box, "2024-01-01", "", kusto, ""},
		"first party writes":      {"PUT", box, "2024-01-01", `{}`, kusto, "AuthorizationFailed"},
		"first party deletes":     {"DELETE", box, "2024-01-01", "", kusto, "AuthorizationFailed"},
		"resource manager":        {"DELETE", box, "2024-01-01", "", resourceManager, ""},
		"resource manager writes": {"PUT", box, "2024-01-01", `{}`, resourceManager, "AuthorizationFailed"},
		"no version":              {"GET", box, "", "", owner, "MissingApiVersionParameter"},
		"bad body":                {"PUT", box, "2024-01-01", `{`, owner, "InvalidRequestContent"},
		"bad tags":                {"PUT", box, "2024-01-01", `{"tags":{"a/b":"1"}}`, owner, "InvalidTagName"},
		"group by its scope":      {"PUT", sub + "/resourceGroups/g", "2021-04-01", `{}`, owner, ""},
		"group by its type":       {"PUT", sub + "/providers/Microsoft.Resources/resourceGroups/g", "2021-04-01", `{}`, owner, ""},
		"subscription":            {"GET", sub, "2021-04-01", "", owner, ""},
		"no group":                {"PUT", sub + "/resourceGroups/none/providers/Contoso.Toys/boxes/b", "2024-01-01", `{}`, owner, "ResourceGroupNotFound"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			req := &provider.Request{Method: tt.method, ID: parseID(t, tt.id), APIVersion: tt.version, Body: json.RawMessage(tt.body), Principal: tt.by}
			resp, err := h.Dispatch(t.Context(), req)
			if code(err) != tt.code {
				t.Fatalf("%v, %v, want %q", resp, err, tt.code)
			}
			if req.Shape != "" || req.RequestID != "" || req.ID.String() != parseID(t, tt.id).String() {
				t.Errorf("the caller's request was changed: %+v", req)
			}
		})
	}
}

// careful refuses in its preflight what is called "bad".
type careful struct {
	*echo
	seen *provider.Request
}

func (c *careful) Preflight(_ context.Context, req *provider.Request) error {
	c.seen = req
	if req.ID.Name() == "bad" {
		return azerr.Conflict("bad")
	}
	return nil
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	handled := errors.New("handled")
	p := &careful{echo: toys()}
	p.handle = func(context.Context, *provider.Request) (*provider.Response, error) { return nil, handled }
	h := newHouse(t, p)
	for name, tt := range map[string]struct {
		id, version string
		by          authz.Principal
		code        string
	}{
		"good":        {"boxes/good", "2024-01-01", authz.Principal{ObjectID: "owner-oid"}, ""},
		"bad":         {"boxes/bad", "2024-01-01", authz.Principal{ObjectID: "owner-oid"}, "Conflict"},
		"not allowed": {"boxes/good", "2024-01-01", authz.Principal{ObjectID: "x"}, "AuthorizationFailed"},
		"old":         {"boxes/good", "2001-01-01", authz.Principal{ObjectID: "owner-oid"}, "NoRegisteredProviderFound"},
		"type":        {"crates/good", "2024-01-01", authz.Principal{ObjectID: "owner-oid"}, "InvalidResourceType"},
	} {
		err := h.Preflight(t.Context(), &provider.Request{Method: http.MethodPut, ID: parseID(t, sub+"/resourceGroups/rg1/providers/Contoso.Toys/"+tt.id), APIVersion: tt.version, Body: json.RawMessage(`{}`), Principal: tt.by})
		if code(err) != tt.code {
			t.Errorf("%s: %v, want %q", name, err, tt.code)
		}
	}
	if p.seen == nil || p.seen.Shape != "2024-01-01" || p.seen.GroupLocation != "westeurope" {
		t.Errorf("the provider saw %+v", p.seen)
	}
}
