package providertest

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/arm"
	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

// The names in a House.
const (
	SubscriptionID = "7a1f3c52-0d7e-4b43-9f38-6a1c0a5e4d11"
	TenantID       = "3c9d2c1e-52f4-4b0a-8f0e-2f8b6c7d9e10"
	Group          = "Suite-Rg"
	OtherGroup     = "other-rg"
	Region         = "westeurope"
)

// House is the surroundings of one provider: a store, an operations manager,
// and a front door over the provider.
type House struct {
	Store      store.Store
	Operations *operations.Manager
	Front      *arm.Front
	Now        func() time.Time
}

// Owner is a principal that may do everything; Stranger one that may do nothing.
func Owner() authz.Principal {
	return authz.Principal{TenantID: TenantID, ObjectID: "11111111-aaaa-4aaa-8aaa-000000000001", AppID: "11111111-aaaa-4aaa-8aaa-000000000002"}
}

// Stranger may do nothing.
func Stranger() authz.Principal {
	return authz.Principal{TenantID: TenantID, ObjectID: "22222222-aaaa-4aaa-8aaa-000000000001", AppID: "22222222-aaaa-4aaa-8aaa-000000000002"}
}

type onlyOwner struct{}

func (onlyOwner) Authorize(_ context.Context, p authz.Principal, _, _ string) (authz.Decision, error) {
	return authz.Decision{Allowed: p.ObjectID == Owner().ObjectID && p.FirstParty == "", Rule: "the suite's owner"}, nil
}

func (o onlyOwner) AuthorizeData(ctx context.Context, p authz.Principal, action, at string) (authz.Decision, error) {
	return o.Authorize(ctx, p, action, at)
}

// Authorizer allows everything to Owner and nothing to anybody else.
func Authorizer() authz.Authorizer { return onlyOwner{} }

// NewHouse makes a house with two empty groups. s may be nil for a fresh
// store; a store that was used before gives what a restart gives.
func NewHouse(t *testing.T, s store.Store, build func(*testing.T, *House) provider.Provider) *House {
	t.Helper()
	h := &House{Store: s, Now: time.Now}
	if s == nil {
		h.Store = memstore.New()
		err := h.Store.Update(t.Context(), func(tx store.Tx) error {
			for _, name := range []string{Group, OtherGroup} {
				if err := scope.PutGroup(tx, scope.Group{Subscription: SubscriptionID, Name: name, Location: Region}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	h.Operations = operations.New(operations.Config{Store: h.Store})
	h.Front = arm.New(arm.Config{Store: h.Store, Authorizer: onlyOwner{}, SubscriptionID: SubscriptionID, TenantID: TenantID})
	h.Front.Register(build(t, h))
	if err := h.Operations.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Operations.Close)
	return h
}

// answer is what came back, with the body decoded.
type answer struct {
	status int
	err    *azerr.Error
	body   map[string]any
	header http.Header
}

func (a answer) code() string {
	if a.err == nil {
		return ""
	}
	return a.err.Code
}

func (a answer) ok() bool { return a.err == nil && a.status >= 200 && a.status < 300 }

// do sends one request and waits for the operation it starts, if any.
func (h *House) do(t *testing.T, method string, id ids.ID, apiVersion string, body json.RawMessage, by authz.Principal) answer {
	t.Helper()
	resp, err := h.Front.Dispatch(t.Context(), &provider.Request{Method: method, ID: id, APIVersion: apiVersion, Body: body, Principal: by})
	if err != nil {
		e := azerr.From(err)
		return answer{status: e.Status, err: e}
	}
	a := answer{status: resp.Status, header: resp.Header}
	data, err := resp.JSON()
	if err == nil && len(data) > 0 {
		err = json.Unmarshal(data, &a.body)
	}
	if err == nil && resp.OperationID != "" {
		var op operations.Operation
		op, err = h.Operations.Wait(t.Context(), resp.OperationID)
		a.err = op.Error
	}
	if err != nil { // no Fatal: this may run beside the test's goroutine
		t.Errorf("%s %s: %v", method, id, err)
	}
	return a
}
