package openapi_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/internal/vault"
)

// covered insists that every operation of every document has an answer that
// was validated, or is refused by name as the list of refusals says. What is
// refused is called once, so that the list cannot claim what is served.
func (r *recorder) covered() {
	r.t.Helper()
	used := map[int]bool{}
	seen := map[string]bool{}
	for _, op := range r.l.operations {
		if seen[op.String()] {
			r.t.Errorf("two operations are called %s", op)
		}
		seen[op.String()] = true
		n := slices.IndexFunc(refusals(), func(f refusal) bool { return f.covers(op) })
		switch {
		case n < 0 && !r.validated[op.String()]:
			r.t.Errorf("%s: no answer was validated: %s", op, op.text)
		case n >= 0 && r.validated[op.String()]:
			r.t.Errorf("%s is served, and in the list of refusals: %s", op, refusals()[n].why)
		case n >= 0:
			used[n] = true
			r.refused(op, refusals()[n])
		}
	}
	for n, f := range refusals() {
		if !used[n] {
			r.t.Errorf("the refusal %q of %v is of nothing", f.why, f.operations)
		}
	}
	for _, op := range vault.Operations() {
		called := slices.ContainsFunc(r.served, func(c string) bool {
			_, ok := matches(segments(op.Path), segments(strings.TrimPrefix(c, op.Method+" ")))
			return ok && strings.HasPrefix(c, op.Method+" ")
		})
		if called == op.Refused {
			r.t.Errorf("%s %s: refused is %v, answered is %v", op.Method, op.Path, op.Refused, called)
		}
	}
	for i, d := range differences() {
		if !r.differences[i] {
			r.t.Errorf("nothing differs as the list says: %s before %q: %s", d.operation, d.before, d.problem)
		}
	}
}

// refused calls an operation and insists on its refusal.
func (r *recorder) refused(op *operation, f refusal) {
	r.t.Helper()
	host, audience := client.ARM, client.ARM
	if strings.Contains(op.folder, "data-plane") {
		host, audience = "https://openapidata.vault.azure.net", client.Vault
	}
	var path []string
	for _, s := range op.template {
		if strings.HasPrefix(s, "{") {
			s = r.sample(s)
		}
		if s != "" {
			path = append(path, s)
		}
	}
	address := host + "/" + strings.Join(path, "/") + "?api-version=" + op.version
	for name := range op.query {
		address += "&" + name + "=" + op.query.Get(name)
	}
	var body any
	if op.method == http.MethodPut || op.method == http.MethodPatch || op.method == http.MethodPost {
		body = `{}`
	}
	a, err := r.c.Do(r.t.Context(), audience, op.method, address, body)
	if err != nil {
		r.t.Fatal(err)
	}
	var e struct {
		Error struct{ Code, Message string }
	}
	_ = json.Unmarshal(a.Body, &e) // no JSON has no code
	if a.Status < 400 || !slices.Contains(strings.Fields(f.codes), e.Error.Code) {
		r.t.Errorf("%s: %s %s: %d %s, want a refusal with %s", op, op.method, address, a.Status, a.Body, f.codes)
	}
	for _, problem := range r.l.check(op, a.Status, a.Header, a.Body) {
		r.t.Errorf("%s: %s", op, problem)
	}
}

// sample is something to stand in a path for a parameter.
func (r *recorder) sample(parameter string) string {
	switch parameter {
	case "{subscriptionId}":
		return r.c.Conn.SubscriptionID
	case "{resourceGroupName}":
		return "rg1"
	case "{vaultName}":
		return "openapidata"
	case "{clusterName}":
		return "openapi1"
	case "{databaseName}":
		return "db1"
	case "{location}":
		return "westeurope"
	case "{groupId}":
		return r.c.Conn.TenantID
	case "{resourceProviderNamespace}":
		return "Microsoft.KeyVault"
	case "{scope}", "{parentResourcePath}":
		return ""
	}
	return "none1"
}
