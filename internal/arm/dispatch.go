package arm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/sync/semaphore"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wire"
)

// Dispatch admits req and hands it to its provider, as if it had come over
// HTTP from req.Principal. The caller sets Method, ID, APIVersion, Principal
// and, where there is one, Action, Query, Header and Body; the rest is filled
// in. An id may be a bare scope: a resource group is then the resource meant.
// req is not changed. Errors are ready for azerr.From.
func (f *Front) Dispatch(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	resp, _, err := f.serve(ctx, *req)
	return resp, err
}

// Preflight asks the provider of a write whether it would refuse it, after the
// same admission as Dispatch. It changes nothing. A provider that cannot tell
// refuses nothing.
func (f *Front) Preflight(ctx context.Context, req *provider.Request) error {
	r := *req
	t, err := f.admit(ctx, &r)
	if err != nil {
		return err
	}
	if checker, ok := t.provider.(provider.Preflighter); ok {
		return checker.Preflight(ctx, &r)
	}
	return nil
}

// serve is Dispatch; gateway tells an error of ARM itself from one of a provider.
func (f *Front) serve(ctx context.Context, req provider.Request) (resp *provider.Response, gateway bool, err error) {
	head := req.Method == http.MethodHead
	t, err := f.admit(ctx, &req)
	if err != nil {
		return nil, true, err
	}
	leave, err := f.enter(ctx, &req, t)
	if err != nil {
		return nil, true, err
	}
	defer leave()
	if err := f.checkGroup(ctx, &req, t); err != nil { // again, now that no deletion can begin
		return nil, true, err
	}
	if err := f.checkLocks(ctx, &req, t); err != nil {
		return nil, true, err
	}
	if head {
		req.Method = http.MethodGet
	}
	done, err := f.takeTurn(ctx, &req, t)
	if err != nil {
		return nil, true, err
	}
	defer done()
	if err := f.checkConditions(ctx, &req, t); err != nil {
		return nil, true, err
	}
	resp, err = f.call(ctx, &req, t)
	if err == nil && req.Method == http.MethodDelete {
		err = f.removeExtensions(ctx, &req, t)
	}
	if err == nil {
		err = setETag(&req, t, resp)
	}
	if err != nil {
		e := azerr.From(err)
		return nil, t.own || e.Code == "ResourceNotFound", err
	}
	if head {
		resp = &provider.Response{Status: http.StatusNoContent, Header: resp.Header}
	}
	return resp, false, nil
}

// removeExtensions tells who extends resources that one is deleted, or that its
// deletion has been accepted.
func (f *Front) removeExtensions(ctx context.Context, req *provider.Request, t target) error {
	if t.own || !req.ID.IsResource() {
		return nil
	}
	for _, p := range f.providers {
		extending, ok := p.(provider.Extending)
		if !ok {
			continue
		}
		if err := f.store.Update(ctx, func(tx store.Tx) error { return extending.RemoveExtensions(tx, req.ID) }); err != nil {
			return fmt.Errorf("remove extensions of %s: %w", req.ID, err)
		}
	}
	return nil
}

// admit runs every step before the provider and completes req.
func (f *Front) admit(ctx context.Context, req *provider.Request) (target, error) {
	v, err := f.checkVersion(req)
	if err != nil {
		return target{}, err
	}
	req.ID = canonical(req.ID)
	if len(req.Body) > MaxBody {
		return target{}, azerr.RequestContentTooLarge(MaxBody)
	}
	f.fill(ctx, req)
	t, err := f.resolve(ctx, req, v)
	if err != nil {
		return t, err
	}
	if err := f.authorize(ctx, req, t); err != nil {
		return t, err
	}
	if err := f.checkRegistration(ctx, req, t); err != nil {
		return t, err
	}
	if err := f.checkGroup(ctx, req, t); err != nil {
		return t, err
	}
	if err := f.checkLocks(ctx, req, t); err != nil {
		return t, err
	}
	if !isDeployment(req) {
		req.Body, err = checkBody(req, t)
	}
	return t, err
}

// checkVersion is the first step: it needs nothing but the request itself.
func (f *Front) checkVersion(req *provider.Request) (version, error) {
	if req.APIVersion == "" {
		return version{}, azerr.MissingAPIVersionParameter()
	}
	v, ok := parseVersion(req.APIVersion)
	if ok {
		return v, nil
	}
	supported := ownVersions()
	if p := f.byNamespace[strings.ToLower(req.ID.Namespace)]; p != nil && !is(req.ID.Namespace, namespace) {
		r := *req
		if t, err := findType(p, &r); err == nil {
			supported = t.APIVersions
		}
	}
	return version{}, azerr.InvalidAPIVersionParameter(req.APIVersion, supported)
}

// fill completes what an in-process caller may leave out.
func (f *Front) fill(ctx context.Context, req *provider.Request) {
	info := wire.RequestFrom(ctx)
	if req.RequestID == "" {
		req.RequestID = info.ID
	}
	if req.RequestID == "" {
		req.RequestID = ids.NewGUID()
	}
	if req.CorrelationID == "" {
		req.CorrelationID = info.CorrelationID
	}
	if req.CorrelationID == "" {
		req.CorrelationID = req.RequestID
	}
	if req.BaseURL == "" {
		req.BaseURL = "https://management.azure.com"
	}
	if req.Query == nil {
		req.Query = url.Values{}
	}
	if req.Header == nil {
		req.Header = http.Header{}
	}
}

// checkSubscription finds the subscription, and refuses writes while it is
// disabled; what changes the subscription itself goes on.
func (f *Front) checkSubscription(ctx context.Context, req *provider.Request, id string) error {
	return f.view(ctx, func(tx store.Tx) error {
		s, err := scope.FindSubscription(tx, id)
		if errors.Is(err, scope.ErrNoSubscription) {
			if is(id, f.subscriptionID) {
				return nil // the first one is there before it has a record
			}
			return azerr.SubscriptionNotFound(id)
		}
		if err == nil && s.State == scope.Disabled && isWrite(req) && !changesNothing(req) && !is(req.ID.Namespace, "Microsoft.Subscription") {
			return azerr.ReadOnlyDisabledSubscription(id)
		}
		return err
	})
}

func isWrite(req *provider.Request) bool {
	return req.Method == http.MethodPut || req.Method == http.MethodPatch || req.Method == http.MethodPost
}

func (f *Front) checkRegistration(ctx context.Context, req *provider.Request, t target) error {
	if t.own || t.subscription == "" || !isWrite(req) {
		return nil
	}
	return f.view(ctx, func(tx store.Tx) error {
		r, ok, err := scope.FindRegistration(tx, t.subscription, req.ID.Namespace)
		if err != nil {
			return err
		}
		if ok && !r.Registered {
			return azerr.MissingSubscriptionRegistration(t.provider.Namespace())
		}
		return nil
	})
}

// checkGroup finds the group (or the management group) a request lives in and refuses writes while it is
// being deleted. The group itself is its provider's business.
func (f *Front) checkGroup(ctx context.Context, req *provider.Request, t target) error {
	if name, in := managementGroup(req.ID); in {
		return f.view(ctx, func(tx store.Tx) error {
			_, err := scope.Hierarchy{TenantID: f.tenantID}.Find(tx, name)
			if errors.Is(err, scope.ErrNoManagementGroup) {
				return azerr.ManagementGroupNotFound(name)
			}
			return err
		})
	}
	if t.group == "" || t.own && is(t.typ.Type, groupType) {
		return nil
	}
	return f.view(ctx, func(tx store.Tx) error {
		g, err := scope.FindGroup(tx, t.subscription, t.group)
		if errors.Is(err, scope.ErrNoGroup) {
			return azerr.ResourceGroupNotFound(t.group)
		}
		if err != nil {
			return err
		}
		if g.Deleting != "" && isWrite(req) {
			return azerr.ResourceGroupBeingDeleted(g.Name)
		}
		req.GroupLocation = string(g.Location)
		return nil
	})
}

// managementGroup is the name of the management group that id is an extension
// of, or in.
func managementGroup(id ids.ID) (name string, ok bool) {
	if id.Parent == nil {
		return "", false
	}
	for id.Parent != nil {
		id = *id.Parent
	}
	if is(id.Namespace, "Microsoft.Management") && id.Subscription == "" && len(id.Segments) > 0 && is(id.Segments[0].Type, "managementGroups") {
		return id.Segments[0].Name, true
	}
	return "", false
}

const groupType = "subscriptions/resourceGroups"

func (f *Front) view(ctx context.Context, fn func(store.Tx) error) error {
	if err := f.store.View(ctx, fn); err != nil {
		return fmt.Errorf("read scope: %w", err)
	}
	return nil
}

// enter holds back the deletion of a group while a write in it runs, so that
// the deletion, once it is recorded, sees everything that was written. What
// writes by Dispatch itself (a deployment, the tags of a resource) is let
// through: the inner request comes here, and waiting for a deletion while
// holding one back would never end. A provider's Handle must for the same
// reason not write into its own group by Dispatch.
func (f *Front) enter(ctx context.Context, req *provider.Request, t target) (leave func(), err error) {
	group := t.own && is(t.typ.Type, groupType)
	deletion := group && req.Method == http.MethodDelete
	if t.group == "" || t.own && !group || !isWrite(req) && !deletion {
		return func() {}, nil
	}
	value, _ := f.gates.LoadOrStore(strings.ToLower(t.subscription+"/"+t.group), semaphore.NewWeighted(maxWriters))
	gate, share := value.(*semaphore.Weighted), int64(1)
	if deletion {
		share = maxWriters
	}
	if err := gate.Acquire(ctx, share); err != nil {
		return nil, fmt.Errorf("wait for the deletion of a group: %w", err)
	}
	return func() { gate.Release(share) }, nil
}

// maxWriters bounds the writes that run at once in one group.
const maxWriters = 1 << 20

// call runs the provider; its panic is a 500 and not a broken connection.
func (f *Front) call(ctx context.Context, req *provider.Request, t target) (resp *provider.Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			text := fmt.Sprintf("value of type %T", v) // a value may hold a customer's data
			if e, ok := v.(runtime.Error); ok {
				text = e.Error()
			}
			f.log.ErrorContext(ctx, "provider panicked", "request_id", req.RequestID, "scope", req.ID.String(), "panic", text, "stack", string(debug.Stack()))
			resp, err = nil, azerr.InternalServerError()
		}
	}()
	if t.provider == nil {
		return f.deployments.HandleDeployment(ctx, req)
	}
	resp, err = t.provider.Handle(ctx, req)
	if err == nil && resp == nil {
		err = fmt.Errorf("provider %s gave no response to %s %s", t.provider.Namespace(), req.Method, t.typ.Type)
	}
	return resp, err
}
