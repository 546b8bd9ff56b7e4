package providertest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/ids"
)

// life is the whole life of one resource, every step twice.
func (r *run) life(t *testing.T, h *House) {
	id := r.id(Group, r.Names[0])
	if a := r.get(t, h, id); a.status != http.StatusNotFound || a.code() != "ResourceNotFound" {
		t.Errorf("GET of nothing: %d %v", a.status, a.err)
	}
	if a := h.do(t, http.MethodHead, id, r.APIVersion, nil, Owner()); a.status != http.StatusNotFound {
		t.Errorf("HEAD of nothing: %d", a.status)
	}
	if a := h.do(t, http.MethodDelete, id, r.APIVersion, nil, Owner()); a.status != http.StatusNoContent {
		t.Errorf("DELETE of nothing: %d %v, want 204", a.status, a.err)
	}
	body := r.with(t, "tags", map[string]string{"suite": "yes"})
	created := r.put(t, h, id, body)
	if created.err != nil || created.status != http.StatusCreated && created.status != http.StatusOK {
		t.Fatalf("PUT: %d %v, want 201 or 200", created.status, created.err)
	}
	first := r.get(t, h, id)
	r.check(t, first, id)
	if again := r.put(t, h, id, body); again.err != nil || again.status != http.StatusOK && again.status != http.StatusCreated {
		t.Fatalf("second PUT: %d %v", again.status, again.err)
	}
	second := r.get(t, h, id)
	if diff := cmp.Diff(stable(first.body), stable(second.body)); diff != "" {
		t.Errorf("the same PUT changed the resource (-before +after)\n%s", diff)
	}
	if a := h.do(t, http.MethodHead, id, r.APIVersion, nil, Owner()); a.status != http.StatusNoContent {
		t.Errorf("HEAD: %d, want 204", a.status)
	}
	for _, group := range []string{Group, "", strings.ToUpper(Group)} {
		if diff := cmp.Diff([]string{id.Key()}, r.values(t, h, group)); diff != "" {
			t.Errorf("list in %q (-want +got)\n%s", group, diff)
		}
		if diff := cmp.Diff([]string{id.Key()}, r.tracked(t, h, group)); diff != "" {
			t.Errorf("Resources in %q (-want +got)\n%s", group, diff)
		}
	}
	for _, want := range [][]int{{http.StatusOK, http.StatusAccepted, http.StatusNoContent}, {http.StatusNoContent}} {
		a := h.do(t, http.MethodDelete, id, r.APIVersion, nil, Owner())
		if a.err != nil || !contains(want, a.status) {
			t.Errorf("DELETE: %d %v, want %v", a.status, a.err, want)
		}
		if a := r.get(t, h, id); a.code() != "ResourceNotFound" {
			t.Errorf("GET after DELETE: %d %v", a.status, a.err)
		}
	}
	if left := append(r.values(t, h, Group), r.tracked(t, h, "")...); len(left) > 0 {
		t.Errorf("left in lists: %v", left)
	}
}

func contains(all []int, one int) bool {
	for _, v := range all {
		if v == one {
			return true
		}
	}
	return false
}

// check looks at the envelope of a resource.
func (r *run) check(t *testing.T, a answer, id ids.ID) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("GET: %d %v", a.status, a.err)
	}
	got, _ := a.body["id"].(string)
	parsed, err := ids.Parse(got)
	if err != nil || parsed.Key() != id.Key() {
		t.Errorf("id %q is not %s", got, id)
	}
	if got != parsed.String() {
		t.Errorf("id %q is not in its printed form %s", got, parsed)
	}
	if name, _ := a.body["name"].(string); name != id.Name() {
		t.Errorf("name %q, want %q", name, id.Name())
	}
	if typ, _ := a.body["type"].(string); !strings.EqualFold(typ, id.Type()) {
		t.Errorf("type %q, want %q", typ, id.Type())
	}
	if l, _ := a.body["location"].(string); ids.ParseLocation(l) != Region {
		t.Errorf("location %q", l)
	}
	tags, _ := a.body["tags"].(map[string]any)
	if tags["suite"] != "yes" {
		t.Errorf("tags %v", tags)
	}
	props, _ := a.body["properties"].(map[string]any)
	if state, has := props["provisioningState"]; has && state != "Succeeded" {
		t.Errorf("provisioningState %v after the end of the operation", state)
	}
}

// stable drops what may change with time.
func stable(body map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range body {
		if k != "etag" && k != "systemData" {
			out[k] = v
		}
	}
	return out
}

// patch replaces the tags and nothing else.
func (r *run) patch(t *testing.T, h *House) {
	if r.NoPatch {
		t.Skip("the type has no PATCH")
	}
	id := r.id(Group, r.Names[0])
	body := json.RawMessage(`{"tags":{"a":"1","B":"2"}}`)
	if a := h.do(t, http.MethodPatch, id, r.APIVersion, body, Owner()); a.status != http.StatusNotFound {
		t.Errorf("PATCH of nothing: %d %v", a.status, a.err)
	}
	r.must(t, h, id)
	before := r.get(t, h, id)
	for _, step := range []struct {
		body json.RawMessage
		tags map[string]any
	}{
		{body, map[string]any{"a": "1", "B": "2"}},
		{json.RawMessage(`{"tags":{"c":"3"}}`), map[string]any{"c": "3"}},
		{json.RawMessage(`{}`), map[string]any{"c": "3"}},
		{json.RawMessage(`{"tags":{}}`), nil},
	} {
		if a := h.do(t, http.MethodPatch, id, r.APIVersion, step.body, Owner()); !a.ok() {
			t.Fatalf("PATCH %s: %d %v", step.body, a.status, a.err)
		}
		after := r.get(t, h, id)
		tags, _ := after.body["tags"].(map[string]any)
		if len(tags) != len(step.tags) || len(tags) > 0 && !cmp.Equal(step.tags, tags) {
			t.Errorf("after PATCH %s the tags are %v", step.body, tags)
		}
		was, is := stable(before.body), stable(after.body)
		delete(was, "tags")
		delete(is, "tags")
		if diff := cmp.Diff(was, is); diff != "" {
			t.Errorf("PATCH %s changed more than the tags (-before +after)\n%s", step.body, diff)
		}
	}
}

// restart makes everything anew over the same store.
func (r *run) restart(t *testing.T, h *House) {
	id := r.id(Group, r.Names[0])
	r.must(t, h, id)
	before := r.get(t, h, id)
	h.Operations.Close()
	again := NewHouse(t, h.Store, r.New)
	after := r.get(t, again, id)
	if diff := cmp.Diff(before.body, after.body); diff != "" {
		t.Errorf("after a restart (-before +after)\n%s", diff)
	}
	if diff := cmp.Diff([]string{id.Key()}, r.tracked(t, again, Group)); diff != "" {
		t.Errorf("Resources after a restart (-want +got)\n%s", diff)
	}
}
