package subscription

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wire"
)

const bucket = "subscription.aliases" // lower-case name → record

// record is an alias as stored; it stands for one subscription for ever.
type record struct {
	Name           string
	SubscriptionID string
	BillingScope   string `json:",omitempty"`
	ResellerID     string `json:",omitempty"`
	OwnerID        string
	Created        time.Time
}

type alias struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Type       string          `json:"type"`
	Properties aliasProperties `json:"properties"`
}

type aliasProperties struct {
	SubscriptionID    string            `json:"subscriptionId"`
	DisplayName       string            `json:"displayName,omitempty"`
	ProvisioningState string            `json:"provisioningState"`
	AcceptOwnership   string            `json:"acceptOwnershipState,omitempty"`
	BillingScope      string            `json:"billingScope,omitempty"`
	Workload          string            `json:"workload,omitempty"`
	ResellerID        string            `json:"resellerId,omitempty"`
	OwnerID           string            `json:"subscriptionOwnerId,omitempty"`
	ManagementGroup   string            `json:"managementGroupId,omitempty"`
	CreatedTime       string            `json:"createdTime,omitempty"`
	Tags              map[string]string `json:"tags,omitempty"`
}

func (p *rp) wire(tx store.Tx, r record) (alias, error) {
	s, err := scope.FindSubscription(tx, r.SubscriptionID)
	if err != nil {
		return alias{}, err
	}
	group, err := p.tree.Find(tx, p.tree.ParentOf(s))
	if err != nil {
		return alias{}, err
	}
	return alias{ID: "/providers/Microsoft.Subscription/aliases/" + r.Name, Name: r.Name, Type: namespace + "/aliases", Properties: aliasProperties{
		SubscriptionID: r.SubscriptionID, DisplayName: s.Name, ProvisioningState: "Succeeded", AcceptOwnership: "Completed", BillingScope: r.BillingScope, Workload: s.Workload,
		ResellerID: r.ResellerID, OwnerID: r.OwnerID, ManagementGroup: group.ID().String(), CreatedTime: wire.Time(r.Created), Tags: s.Tags}}, nil
}

// aliasBody is a PUT.
type aliasBody struct {
	Properties *struct {
		DisplayName          string
		Workload             string
		BillingScope         string
		SubscriptionID       string
		ResellerID           string
		AdditionalProperties struct {
			ManagementGroupID    string
			SubscriptionTenantID string
			SubscriptionOwnerID  string
			Tags                 json.RawMessage
		}
	}
}

var validAlias = regexp.MustCompile(`^[A-Za-z0-9._-]{1,63}$`)

// wanted is a checked PUT.
type wanted struct {
	alias        record
	subscription scope.Subscription
	existing     bool // the alias is for a subscription that is there
	group        string
}

func (p *rp) read(req *provider.Request) (wanted, error) {
	var w wanted
	if !validAlias.MatchString(req.ID.Name()) {
		return w, azerr.InvalidSubscriptionRequest(fmt.Sprintf("The alias name '%s' is invalid: it must have 1 to 63 letters, digits, '.', '_' and '-'.", req.ID.Name()))
	}
	var b aliasBody
	if err := json.Unmarshal(req.Body, &b); err != nil {
		return w, azerr.InvalidRequestContent("A subscription alias is expected").Because(err)
	}
	if b.Properties == nil {
		return w, azerr.InvalidRequestContent("The member 'properties' is required")
	}
	in := b.Properties
	w.alias = record{Name: req.ID.Name(), SubscriptionID: strings.ToLower(in.SubscriptionID), BillingScope: in.BillingScope, ResellerID: in.ResellerID, OwnerID: req.Principal.ObjectID}
	w.existing = in.SubscriptionID != ""
	if w.existing && !ids.IsGUID(in.SubscriptionID) {
		return w, azerr.InvalidSubscriptionID(in.SubscriptionID)
	}
	if !w.existing {
		w.alias.SubscriptionID = ids.NewGUID()
	}
	w.subscription = scope.Subscription{ID: w.alias.SubscriptionID, Name: in.DisplayName, State: scope.Enabled}
	if !w.existing && (in.DisplayName == "" || len([]rune(in.DisplayName)) > 64) {
		return w, azerr.InvalidSubscriptionRequest("The property 'displayName' must have 1 to 64 characters.")
	}
	switch {
	case in.Workload == "" || strings.EqualFold(in.Workload, "Production"):
		w.subscription.Workload = "Production"
	case strings.EqualFold(in.Workload, "DevTest"):
		w.subscription.Workload = "DevTest"
	default:
		return w, azerr.InvalidSubscriptionRequest("The property 'workload' must be 'Production' or 'DevTest'.")
	}
	more := in.AdditionalProperties
	if more.SubscriptionTenantID != "" && !strings.EqualFold(more.SubscriptionTenantID, p.TenantID) {
		return w, azerr.InvalidSubscriptionRequest("The property 'subscriptionTenantId' must be this tenant: a subscription for another one is not supported.")
	}
	if more.SubscriptionOwnerID != "" && !strings.EqualFold(more.SubscriptionOwnerID, req.Principal.ObjectID) {
		return w, azerr.InvalidSubscriptionRequest("The property 'subscriptionOwnerId' must be the caller: a subscription for somebody else is not supported.")
	}
	if more.ManagementGroupID != "" {
		id, err := ids.Parse(more.ManagementGroupID)
		if err != nil || !strings.EqualFold(id.Type(), "Microsoft.Management/managementGroups") || !id.IsResource() {
			return w, azerr.InvalidSubscriptionRequest("The property 'managementGroupId' is not the id of a management group.")
		}
		w.group = id.Name()
	}
	if len(more.Tags) > 0 {
		var err error
		if w.subscription.Tags, err = provider.ParseTags(more.Tags); err != nil {
			return w, err
		}
	}
	return w, nil
}

// put makes a subscription and its alias in one transaction. A PUT of an alias
// that is there changes nothing: clients repeat it.
func (p *rp) put(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	w, err := p.read(req)
	if err != nil {
		return nil, err
	}
	if w.group != "" {
		at := scope.ManagementGroup{Name: w.group}.ID()
		if err := provider.Demand(ctx, p.Authorizer, req, "Microsoft.Management/managementGroups/subscriptions/write", at); err != nil {
			return nil, err
		}
	}
	if w.existing {
		if err := provider.Demand(ctx, p.Authorizer, req, "Microsoft.Authorization/roleAssignments/write", ids.ID{Subscription: w.alias.SubscriptionID}); err != nil {
			return nil, err
		}
	}
	var out alias
	created := false
	err = p.Store.Update(ctx, func(tx store.Tx) error {
		old, err := store.GetJSON[record](tx, bucket, strings.ToLower(w.alias.Name))
		if err == nil {
			if w.existing && old.SubscriptionID != w.alias.SubscriptionID {
				return azerr.SubscriptionAliasConflict(old.Name, old.SubscriptionID)
			}
			out, err = p.wire(tx, old)
			return err
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		created = true
		if err := p.create(tx, req, w); err != nil {
			return err
		}
		w.alias.Created = p.Now().UTC()
		if err := store.PutJSON(tx, bucket, strings.ToLower(w.alias.Name), w.alias); err != nil {
			return err
		}
		out, err = p.wire(tx, w.alias)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store subscription alias: %w", err)
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
		p.Log.InfoContext(ctx, "subscription created", "scope", "/subscriptions/"+out.Properties.SubscriptionID, "principal", req.Principal.ObjectID)
	}
	return &provider.Response{Status: status, Body: out}, nil
}

// create makes the subscription and its owner, or finds the one that is named.
func (p *rp) create(tx store.Tx, req *provider.Request, w wanted) error {
	if w.existing {
		_, err := scope.FindSubscription(tx, w.alias.SubscriptionID)
		if errors.Is(err, scope.ErrNoSubscription) {
			return azerr.SubscriptionNotFound(w.alias.SubscriptionID)
		}
		return err
	}
	s := w.subscription
	s.Created = p.Now().UTC()
	if w.group != "" {
		g, err := p.tree.Find(tx, w.group)
		if errors.Is(err, scope.ErrNoManagementGroup) {
			return azerr.ManagementGroupNotFound(w.group)
		}
		if err != nil {
			return err
		}
		if !p.tree.IsRoot(g.Name) {
			s.Parent = g.Name
		}
	}
	if err := scope.PutSubscription(tx, s); err != nil {
		return err
	}
	ownerType := "ServicePrincipal"
	if req.Principal.IsUser() {
		ownerType = "User"
	}
	return p.Owners.AssignOwner(tx, s.Scope().String(), req.Principal.ObjectID, ownerType)
}

func (p *rp) get(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var out alias
	err := p.Store.View(ctx, func(tx store.Tx) error {
		r, err := store.GetJSON[record](tx, bucket, strings.ToLower(req.ID.Name()))
		if errors.Is(err, store.ErrNotFound) {
			return azerr.SubscriptionAliasNotFound(req.ID.Name())
		}
		if err != nil {
			return err
		}
		out, err = p.wire(tx, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read subscription alias: %w", err)
	}
	return provider.OK(out)
}

func (p *rp) list(ctx context.Context) (*provider.Response, error) {
	out := struct {
		Value []alias `json:"value"`
	}{[]alias{}}
	err := p.Store.View(ctx, func(tx store.Tx) error {
		all, err := store.ListJSON[record](tx, bucket, "")
		if err != nil {
			return err
		}
		for _, r := range all {
			a, err := p.wire(tx, r)
			if err != nil {
				return err
			}
			out.Value = append(out.Value, a)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list subscription aliases: %w", err)
	}
	return provider.OK(out)
}

// delete forgets the alias; the subscription stays.
func (p *rp) delete(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	status := http.StatusOK
	err := p.Store.Update(ctx, func(tx store.Tx) error {
		err := tx.Delete(bucket, strings.ToLower(req.ID.Name()))
		if errors.Is(err, store.ErrNotFound) {
			status = http.StatusNoContent
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("delete subscription alias: %w", err)
	}
	return &provider.Response{Status: status}, nil
}
