package providertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// nothing fails when anything was stored.
func (r *run) nothing(t *testing.T, h *House, after string) {
	t.Helper()
	if left := append(r.values(t, h, ""), r.tracked(t, h, "")...); len(left) > 0 {
		t.Errorf("%s left %v behind", after, left)
	}
}

// anyCase: ids compare without case and keep the casing of their creation.
func (r *run) anyCase(t *testing.T, h *House) {
	id := r.id(Group, r.Names[0])
	other := r.id(strings.ToUpper(Group), strings.ToUpper(r.Names[0]))
	other.Namespace = strings.ToUpper(other.Namespace)
	other.Segments[len(other.Segments)-1].Type = strings.ToUpper(r.Type)
	r.must(t, h, id)
	want := r.get(t, h, id)
	if got := r.get(t, h, other); got.status != http.StatusOK || !cmp.Equal(want.body, got.body) {
		t.Errorf("GET %s: %d %v\n%s", other, got.status, got.err, cmp.Diff(want.body, got.body))
	}
	if a := r.put(t, h, other, r.Body); !a.ok() {
		t.Errorf("PUT %s: %d %v", other, a.status, a.err)
	}
	if got := r.values(t, h, ""); len(got) != 1 {
		t.Errorf("two names for one resource: %v", got)
	}
	if got := r.get(t, h, id); got.body["id"] != want.body["id"] || got.body["name"] != want.body["name"] {
		t.Errorf("the casing of creation is lost: %v", got.body["id"])
	}
	if a := h.do(t, http.MethodDelete, other, r.APIVersion, nil, Owner()); !a.ok() {
		t.Errorf("DELETE %s: %d %v", other, a.status, a.err)
	}
	r.nothing(t, h, "DELETE in another case")
}

func (r *run) absentGroup(t *testing.T, h *House) {
	for _, method := range []string{http.MethodPut, http.MethodGet, http.MethodDelete} {
		a := h.do(t, method, r.id("absent-rg", r.Names[0]), r.APIVersion, r.Body, Owner())
		if a.status != http.StatusNotFound || a.code() != "ResourceGroupNotFound" {
			t.Errorf("%s: %d %v", method, a.status, a.err)
		}
	}
	r.nothing(t, h, "PUT into an absent group")
}

func (r *run) apiVersions(t *testing.T, h *House) {
	id := r.id(Group, r.Names[0])
	versions := r.declared(h).APIVersions
	for version, code := range map[string]string{"": "MissingApiVersionParameter", "latest": "InvalidApiVersionParameter", "2020-02-30": "InvalidApiVersionParameter", "2001-01-01": "NoRegisteredProviderFound"} {
		if a := h.do(t, http.MethodPut, id, version, r.Body, Owner()); a.status != http.StatusBadRequest || a.code() != code {
			t.Errorf("api-version %q: %d %v, want %s", version, a.status, a.err, code)
		}
	}
	r.nothing(t, h, "a bad api-version")
	r.must(t, h, id)
	for _, version := range append(versions, "2099-12-31", "2099-12-31-preview") {
		if a := h.do(t, http.MethodGet, id, version, nil, Owner()); a.status != http.StatusOK {
			t.Errorf("api-version %s: %d %v", version, a.status, a.err)
		}
	}
}

// badBodies are wrong for any tracked type; each must be refused with a 4xx
// and leave nothing.
func (r *run) badBodies(t *testing.T, h *House) {
	id := r.id(Group, r.Names[0])
	for name, body := range map[string]json.RawMessage{
		"nothing":           nil,
		"not json":          json.RawMessage(`{"location":`),
		"array":             json.RawMessage(`[]`),
		"no location":       r.with(t, "location", nil),
		"unknown location":  r.with(t, "location", "atlantis"),
		"location a number": r.with(t, "location", 7),
		"tags an array":     r.with(t, "tags", []string{"a"}),
		"tag a number":      r.with(t, "tags", map[string]any{"a": 1}),
		"tag of bad name":   r.with(t, "tags", map[string]any{"a%b": "1"}),
		"properties a text": r.with(t, "properties", "x"),
	} {
		a := r.put(t, h, id, body)
		if name == "properties a text" && a.ok() { // a type without writable properties may ignore them
			h.do(t, http.MethodDelete, id, r.APIVersion, nil, Owner())
			continue
		}
		if a.status < 400 || a.status > 499 {
			t.Errorf("%s: %d %v", name, a.status, a.err)
		}
	}
	r.nothing(t, h, "a bad body")
}

func (r *run) strangers(t *testing.T, h *House) {
	id := r.id(Group, r.Names[0])
	other := r.id(Group, r.Names[1])
	r.must(t, h, id)
	want := r.get(t, h, id)
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if a := h.do(t, method, id, r.APIVersion, r.Body, Stranger()); a.status != http.StatusForbidden || a.code() != "AuthorizationFailed" {
			t.Errorf("%s: %d %v", method, a.status, a.err)
		}
	}
	if a := h.do(t, http.MethodPut, other, r.APIVersion, r.Body, Stranger()); a.status != http.StatusForbidden {
		t.Errorf("PUT of a new one: %d %v", a.status, a.err)
	}
	if diff := cmp.Diff(want.body, r.get(t, h, id).body); diff != "" {
		t.Errorf("a stranger changed it (-before +after)\n%s", diff)
	}
	if a := r.get(t, h, other); a.status != http.StatusNotFound {
		t.Errorf("a stranger made one: %d", a.status)
	}
}

func (r *run) location(t *testing.T, h *House) {
	id := r.id(Group, r.Names[0])
	r.must(t, h, id)
	if a := r.put(t, h, id, r.with(t, "location", "West Europe")); !a.ok() {
		t.Errorf("the same location by its display name: %d %v", a.status, a.err)
	}
	before := r.get(t, h, id)
	if a := r.put(t, h, id, r.with(t, "location", "eastus")); a.status < 400 || a.status > 499 {
		t.Errorf("another location: %d %v", a.status, a.err)
	}
	if diff := cmp.Diff(before.body, r.get(t, h, id).body); diff != "" {
		t.Errorf("the refused PUT changed it (-before +after)\n%s", diff)
	}
}

func (r *run) groupsApart(t *testing.T, h *House) {
	id := r.id(Group, r.Names[0])
	r.must(t, h, id)
	if got := append(r.values(t, h, OtherGroup), r.tracked(t, h, OtherGroup)...); len(got) > 0 {
		t.Errorf("the other group has %v", got)
	}
	if a := r.get(t, h, r.id(OtherGroup, r.Names[0])); a.status != http.StatusNotFound {
		t.Errorf("GET in the other group: %d", a.status)
	}
	if a := h.do(t, http.MethodDelete, r.id(OtherGroup, r.Names[0]), r.APIVersion, nil, Owner()); a.status != http.StatusNoContent {
		t.Errorf("DELETE in the other group: %d", a.status)
	}
	if a := r.get(t, h, id); a.status != http.StatusOK {
		t.Errorf("deleted through another group: %d", a.status)
	}
}

// atOnce runs n calls together.
func atOnce(n int, call func(i int) answer) []answer {
	answers := make([]answer, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { answers[i] = call(i) })
	}
	wg.Wait()
	return answers
}

// sameNameAtOnce: one resource comes of it; a call may be told to come back.
func (r *run) sameNameAtOnce(t *testing.T, h *House) {
	id := r.id(Group, r.Names[0])
	won := 0
	for i, a := range atOnce(8, func(int) answer { return r.put(t, h, id, r.Body) }) {
		switch {
		case a.ok():
			won++
		case a.status != http.StatusConflict:
			t.Errorf("call %d: %d %v", i, a.status, a.err)
		}
	}
	if got := r.values(t, h, ""); won == 0 || len(got) != 1 {
		t.Errorf("%d calls succeeded and made %v", won, got)
	}
}

func (r *run) manyAtOnce(t *testing.T, h *House) {
	const n = 8
	for i, a := range atOnce(n, func(i int) answer { return r.put(t, h, r.id(Group, fmt.Sprint(r.Names[0], i)), r.Body) }) {
		if !a.ok() {
			t.Errorf("PUT %d: %d %v", i, a.status, a.err)
		}
	}
	if got := r.values(t, h, Group); len(got) != n {
		t.Errorf("%d of %d are there", len(got), n)
	}
	for i, a := range atOnce(n, func(i int) answer {
		return h.do(t, http.MethodDelete, r.id(Group, fmt.Sprint(r.Names[0], i)), r.APIVersion, nil, Owner())
	}) {
		if !a.ok() {
			t.Errorf("DELETE %d: %d %v", i, a.status, a.err)
		}
	}
	r.nothing(t, h, "deleting all")
}
