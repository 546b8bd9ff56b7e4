package providertest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/ids"
)

// Suite describes one tracked type.
type Suite struct {
	// New makes the provider in a house. It is called again with the same store
	// to see what a restart keeps, and must register its operations itself.
	New func(t *testing.T, h *House) provider.Provider
	// Type is the path without namespace ("clusters").
	Type string
	// APIVersion is one that the type knows.
	APIVersion string
	// Body is a valid creation in Region without tags; the suite adds tags.
	Body json.RawMessage
	// Names are two valid names; the zero value gives two that most types take.
	Names [2]string
	// NoPatch is for types without PATCH.
	NoPatch bool
}

type run struct {
	Suite
	namespace string
}

// Run runs the suite for one type.
func Run(t *testing.T, s Suite) {
	t.Helper()
	if s.Names[0] == "" {
		s.Names = [2]string{"suiteone1", "suitetwo2"}
	}
	r := &run{Suite: s}
	r.namespace = NewHouse(t, nil, func(t *testing.T, h *House) provider.Provider {
		p := s.New(t, h)
		r.namespace = p.Namespace()
		return p
	}).Front.Providers()[0].Namespace()
	for name, test := range map[string]func(*testing.T, *House){
		"registration": r.registration, "life": r.life, "names in any case": r.anyCase, "absent group": r.absentGroup,
		"api-versions": r.apiVersions, "bad bodies": r.badBodies, "strangers": r.strangers, "location is fixed": r.location,
		"patch": r.patch, "same name at once": r.sameNameAtOnce, "many at once": r.manyAtOnce, "restart": r.restart,
		"groups are apart": r.groupsApart,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, NewHouse(t, nil, s.New))
		})
	}
}

func (r *run) id(group, name string) ids.ID {
	id := ids.ID{Subscription: SubscriptionID, ResourceGroup: group, Namespace: r.namespace}
	for _, typ := range strings.Split(r.Type, "/") {
		id.Segments = append(id.Segments, ids.Segment{Type: typ})
	}
	id.Segments[len(id.Segments)-1].Name = name
	return id
}

func (r *run) put(t *testing.T, h *House, id ids.ID, body json.RawMessage) answer {
	t.Helper()
	return h.do(t, http.MethodPut, id, r.APIVersion, body, Owner())
}

func (r *run) get(t *testing.T, h *House, id ids.ID) answer {
	t.Helper()
	return h.do(t, http.MethodGet, id, r.APIVersion, nil, Owner())
}

// with returns Body with one more member.
func (r *run) with(t *testing.T, name string, value any) json.RawMessage {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(r.Body, &members); err != nil {
		t.Fatal(err)
	}
	members[name] = value
	body, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// must creates a resource or ends the test.
func (r *run) must(t *testing.T, h *House, id ids.ID) answer {
	t.Helper()
	a := r.put(t, h, id, r.Body)
	if !a.ok() {
		t.Fatalf("PUT %s: %d %v", id, a.status, a.err)
	}
	return a
}

// values are the ids in a list.
func (r *run) values(t *testing.T, h *House, group string) []string {
	t.Helper()
	a := r.get(t, h, r.id(group, ""))
	if a.status != http.StatusOK {
		t.Fatalf("list: %d %v", a.status, a.err)
	}
	items, isList := a.body["value"].([]any)
	if !isList {
		t.Fatalf("list has no value: %v", a.body)
	}
	found := []string{}
	for _, item := range items {
		m, _ := item.(map[string]any)
		id, _ := m["id"].(string)
		found = append(found, strings.ToLower(id))
	}
	slices.Sort(found)
	return found
}

// tracked are the ids in the provider's own list.
func (r *run) tracked(t *testing.T, h *House, group string) []string {
	t.Helper()
	resources, err := h.Front.Providers()[0].Resources(t.Context(), SubscriptionID, group)
	if err != nil {
		t.Fatal(err)
	}
	found := []string{}
	for _, res := range resources {
		if strings.EqualFold(res.Type, r.namespace+"/"+r.Type) {
			found = append(found, res.ID.Key())
			if !slices.Contains(r.declared(h).APIVersions, res.APIVersion) {
				t.Errorf("%s is listed with the api-version %q, which the type does not have: a what-if cannot read it", res.IDText, res.APIVersion)
			}
		}
	}
	slices.Sort(found)
	return found
}

func (r *run) declared(h *House) provider.ResourceType {
	for _, typ := range h.Front.Providers()[0].Types() {
		if strings.EqualFold(typ.Type, r.Type) {
			return typ
		}
	}
	return provider.ResourceType{}
}

func (r *run) registration(t *testing.T, h *House) {
	seen := map[string]bool{}
	for _, typ := range h.Front.Providers()[0].Types() {
		key := strings.ToLower(typ.Type)
		if typ.Type == "" || seen[key] {
			t.Errorf("type %q is empty or stands twice", typ.Type)
		}
		seen[key] = true
		if len(typ.APIVersions) == 0 {
			t.Errorf("type %s has no api-version", typ.Type)
		}
		for i, v := range typ.APIVersions {
			if _, err := time.Parse(time.DateOnly, v[:min(len(v), 10)]); err != nil {
				t.Errorf("type %s has api-version %q", typ.Type, v)
			}
			if i > 0 && v[:10] > typ.APIVersions[i-1][:10] {
				t.Errorf("type %s lists %s behind the older %s", typ.Type, v, typ.APIVersions[i-1])
			}
		}
	}
	typ := r.declared(h)
	if !typ.Tracked || len(typ.Locations) == 0 || !slices.Contains(typ.APIVersions, r.APIVersion) {
		t.Errorf("the type of the suite is declared as %+v", typ)
	}
}
