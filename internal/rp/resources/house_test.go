package resources_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/arm"
	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/provider/providertest"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/rp/resources"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

const (
	subID = providertest.SubscriptionID
	sub   = "/subscriptions/" + subID
	v     = "?api-version=2021-04-01"
)

// shelf is a provider that holds resources in memory and notes in which order
// they are deleted.
type shelf struct {
	namespace string
	mu        sync.Mutex
	held      map[string]provider.Resource
	refuse    map[string]int // name → how many deletions are still refused
	log       *[]string
	onPut     func()
}

func newShelf(namespace string, log *[]string) *shelf {
	return &shelf{namespace: namespace, held: map[string]provider.Resource{}, refuse: map[string]int{}, log: log}
}

func (s *shelf) Namespace() string { return s.namespace }

func (s *shelf) Types() []provider.ResourceType {
	return []provider.ResourceType{{Type: "things", APIVersions: []string{"2025-01-01-preview", "2024-01-01"}, Locations: []string{"West Europe"}, Tracked: true}}
}

func (s *shelf) Handle(_ context.Context, req *provider.Request) (*provider.Response, error) {
	if req.Method == http.MethodPut && s.onPut != nil {
		s.onPut()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.held[req.ID.Key()]
	switch req.Method {
	case http.MethodDelete:
		if !ok {
			return &provider.Response{Status: http.StatusNoContent}, nil
		}
		if s.refuse[r.Name] > 0 {
			s.refuse[r.Name]--
			return nil, azerr.Conflict(r.Name + " is in use")
		}
		delete(s.held, req.ID.Key())
		*s.log = append(*s.log, r.Name)
		return &provider.Response{Status: http.StatusOK}, nil
	case http.MethodPut:
		s.add(req.ID)
		r = s.held[req.ID.Key()]
	case http.MethodPatch:
		var body struct{ Tags map[string]string }
		if err := json.Unmarshal(req.Body, &body); err != nil {
			return nil, err
		}
		r.Tags = body.Tags
		s.held[req.ID.Key()] = r
	case http.MethodGet:
		if !ok {
			return nil, provider.NotFound(req.ID)
		}
	}
	return &provider.Response{Status: http.StatusOK, Body: r}, nil
}

func (s *shelf) add(id ids.ID) {
	s.held[id.Key()] = provider.Resource{ID: id, IDText: id.String(), Name: id.Name(), Type: id.Type(), Location: "westeurope",
		Tags: map[string]string{"shelf": s.namespace}, ProvisioningState: "Succeeded", CreatedTime: "2026-01-06T00:00:00Z", ChangedTime: "2026-01-06T00:00:00Z"}
}

func (s *shelf) Resources(_ context.Context, subscription, group string) ([]provider.Resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []provider.Resource
	for _, r := range s.held {
		if strings.EqualFold(r.ID.Subscription, subscription) && (group == "" || strings.EqualFold(r.ID.ResourceGroup, group)) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b provider.Resource) int { return strings.Compare(a.ID.Key(), b.ID.Key()) })
	return out, nil
}

type verifier struct{}

func (verifier) Verify(_ context.Context, token string, _ ...string) (authz.Principal, error) {
	if token == "owner" {
		return providertest.Owner(), nil
	}
	return providertest.Stranger(), nil
}

type house struct {
	front *arm.Front
	ops   *operations.Manager
	store store.Store
	base  *shelf // registered first: used by top
	top   *shelf
	log   []string
	// unassigned are the scopes whose role assignments were removed
	unassigned []string
}

func (h *house) RemoveScope(_ store.Tx, scope string) error {
	h.unassigned = append(h.unassigned, scope)
	return nil
}

func newHouse(t *testing.T, s store.Store) *house {
	t.Helper()
	h := &house{store: s}
	if s == nil {
		h.store = memstore.New()
	}
	h.base, h.top = newShelf("Contoso.Base", &h.log), newShelf("Contoso.Top", &h.log)
	if err := h.store.Update(t.Context(), func(tx store.Tx) error { return scope.EnsureSubscription(tx, subID, "Kustos", time.Now()) }); err != nil {
		t.Fatal(err)
	}
	h.ops = operations.New(operations.Config{Store: h.store})
	h.front = arm.New(arm.Config{Store: h.store, Verifier: verifier{}, Authorizer: providertest.Authorizer(), SubscriptionID: subID, TenantID: providertest.TenantID})
	h.front.Register(h.base, h.top)
	h.front.Register(resources.New(resources.Config{Store: h.store, Authorizer: providertest.Authorizer(), Operations: h.ops, Registry: h.front, Dispatcher: h.front, Assignments: h,
		TenantID: providertest.TenantID, Now: time.Now}))
	t.Cleanup(h.ops.Close)
	return h
}

func thing(namespace, group, name string) string {
	return fmt.Sprintf("%s/resourceGroups/%s/providers/%s/things/%s", sub, group, namespace, name)
}

type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

func (a answer) code() string {
	e, _ := a.json["error"].(map[string]any)
	code, _ := e["code"].(string)
	return code
}

// names are the members "name" of a list.
func (a answer) names() string {
	var out []string
	items, _ := a.json["value"].([]any)
	for _, item := range items {
		m, _ := item.(map[string]any)
		name, _ := m["name"].(string)
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

func (h *house) do(t *testing.T, method, target, body string) answer {
	return h.as(t, "owner", method, target, body)
}

func (h *house) as(t *testing.T, who, method, target, body string) answer {
	t.Helper()
	target = strings.TrimPrefix(target, "https://management.azure.com")
	r := httptest.NewRequest(method, "https://management.azure.com"+strings.ReplaceAll(target, " ", "%20"), strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+who)
	w := httptest.NewRecorder()
	h.front.ServeHTTP(w, r)
	data, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: w.Code, header: w.Result().Header, body: string(data)}
	_ = json.Unmarshal(data, &a.json) // empty bodies have no members to look at
	return a
}

func (h *house) group(t *testing.T, name string) {
	t.Helper()
	if a := h.do(t, "PUT", sub+"/resourcegroups/"+name+v, `{"location":"West Europe"}`); a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
}

func (h *house) put(t *testing.T, namespace, group, name string) {
	t.Helper()
	if a := h.do(t, "PUT", thing(namespace, group, name)+"?api-version=2024-01-01", `{"location":"westeurope"}`); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
}
