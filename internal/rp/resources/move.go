package resources

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const (
	moveKind         = "ResourcesMove"
	validateMoveKind = "ResourcesMoveValidate"
	maxMoved         = 800
)

// movePayload is what a move operation does: From[i] becomes To[i].
type movePayload struct {
	Source, Target string // groups
	From, To       []string
}

// moveResources admits the request, checks everything that can be said at once,
// and leaves the rest to an operation.
func (p *Provider) moveResources(ctx context.Context, req *provider.Request, kind string) (*provider.Response, error) {
	move, err := readMove(req)
	if err != nil {
		return nil, err
	}
	if err := p.mayMove(ctx, req, move); err != nil {
		return nil, err
	}
	if err := p.Store.View(ctx, func(tx store.Tx) error { return move.spell(tx) }); err != nil {
		return nil, fmt.Errorf("move resources: %w", err)
	}
	payload, err := json.Marshal(move)
	if err != nil {
		return nil, err
	}
	var id string
	err = p.Store.Update(ctx, func(tx store.Tx) error {
		if err := checkGroups(tx, move); err != nil {
			return err
		}
		id, err = p.Operations.Start(tx, operations.Operation{Kind: kind, Provider: namespace, ResourceID: move.Source, Payload: payload, Principal: req.Principal, APIVersion: req.APIVersion})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("move resources: %w", err)
	}
	p.Operations.Launch(id)
	resp := &provider.Response{Status: http.StatusAccepted, Header: http.Header{}, OperationID: id}
	operations.Headers(resp.Header, "", resultURL(req, id), retryAfter)
	return resp, nil
}

// spell gives the new ids the casing of the target group.
func (m *movePayload) spell(tx store.Tx) error {
	target, err := ids.Parse(m.Target)
	if err != nil {
		return err
	}
	g, err := scope.FindGroup(tx, target.Subscription, target.ResourceGroup)
	if errors.Is(err, scope.ErrNoGroup) {
		return nil // checkGroups says so
	}
	if err != nil {
		return err
	}
	m.Target = g.ID().String()
	for i := range m.To {
		to, err := ids.Parse(m.To[i])
		if err != nil {
			return err
		}
		to.Subscription, to.ResourceGroup = g.Subscription, g.Name
		m.To[i] = to.String()
	}
	return nil
}

func readMove(req *provider.Request) (movePayload, error) {
	source := ids.ID{Subscription: req.ID.Segments[0].Name, ResourceGroup: req.ID.Segments[1].Name}
	m := movePayload{Source: source.String()}
	var body struct {
		Resources           []string
		TargetResourceGroup string
	}
	if err := json.Unmarshal(req.Body, &body); err != nil {
		return m, azerr.InvalidRequestContent("An object with 'resources' and 'targetResourceGroup' is expected").Because(err)
	}
	target, err := ids.Parse(body.TargetResourceGroup)
	if err != nil || target.ResourceGroup == "" || target.Namespace != "" {
		return m, azerr.InvalidMove("The property 'targetResourceGroup' must be the id of a resource group.")
	}
	if target.Key() == source.Key() {
		return m, azerr.InvalidMove("The source and the target resource group are the same.")
	}
	if len(body.Resources) == 0 || len(body.Resources) > maxMoved {
		return m, azerr.InvalidMove(fmt.Sprintf("The property 'resources' must hold 1 to %d ids.", maxMoved))
	}
	m.Target = target.String()
	seen := map[string]bool{}
	for _, text := range body.Resources {
		id, err := ids.Parse(text)
		if err != nil || !id.IsResource() || id.Parent != nil || (ids.ID{Subscription: id.Subscription, ResourceGroup: id.ResourceGroup}).Key() != source.Key() {
			return m, azerr.InvalidMove(fmt.Sprintf("'%s' is not the id of a resource in the source resource group.", text))
		}
		if len(id.Segments) != 1 {
			return m, azerr.InvalidMove(fmt.Sprintf("'%s' is a child resource, which moves with its parent only.", text))
		}
		if seen[id.Key()] {
			return m, azerr.InvalidMove(fmt.Sprintf("'%s' is named twice.", text))
		}
		seen[id.Key()] = true
		to := id
		to.Subscription, to.ResourceGroup = target.Subscription, target.ResourceGroup
		m.From, m.To = append(m.From, id.String()), append(m.To, to.String())
	}
	return m, nil
}

// mayMove asks for the rights at the target; the front door has asked for the
// one at the source.
func (p *Provider) mayMove(ctx context.Context, req *provider.Request, m movePayload) error {
	demand := func(action, at string) error {
		d, err := p.Authorizer.Authorize(ctx, req.Principal, action, at)
		if err != nil {
			return fmt.Errorf("authorize %s: %w", action, err)
		}
		if !d.Allowed {
			return azerr.LinkedAuthorizationFailed(req.Principal.AppID, req.Principal.ObjectID, "Microsoft.Resources/subscriptions/resourceGroups/moveResources/action", m.Source, action, at)
		}
		return nil
	}
	if err := demand("Microsoft.Resources/subscriptions/resourceGroups/write", m.Target); err != nil {
		return err
	}
	for i, from := range m.From {
		id, err := ids.Parse(from)
		if err != nil {
			return err
		}
		if err := errors.Join(demand(id.Type()+"/write", m.To[i]), demand(id.Type()+"/delete", from)); err != nil {
			return err
		}
	}
	return nil
}

// checkGroups finds the target and refuses locks on either side.
func checkGroups(tx store.Tx, m movePayload) error {
	target, err := ids.Parse(m.Target)
	if err != nil {
		return err
	}
	s, err := scope.FindSubscription(tx, target.Subscription)
	switch {
	case errors.Is(err, scope.ErrNoSubscription):
		return azerr.SubscriptionNotFound(target.Subscription)
	case err != nil:
		return err
	case s.State == scope.Disabled:
		return azerr.ReadOnlyDisabledSubscription(s.ID)
	}
	g, err := scope.FindGroup(tx, target.Subscription, target.ResourceGroup)
	switch {
	case errors.Is(err, scope.ErrNoGroup):
		return azerr.ResourceGroupNotFound(target.ResourceGroup)
	case err != nil:
		return err
	case g.Deleting != "":
		return azerr.ResourceGroupBeingDeleted(g.Name)
	}
	if err := unlocked(tx, target, false); err != nil {
		return err
	}
	for _, to := range m.To { // what arrives must be welcome
		id, err := ids.Parse(to)
		if err != nil {
			return err
		}
		if r, said, err := scope.FindRegistration(tx, target.Subscription, id.Namespace); err != nil {
			return err
		} else if said && !r.Registered {
			return azerr.MissingSubscriptionRegistration(r.Namespace)
		}
	}
	for _, from := range m.From { // what moves away is gone from where it was
		id, err := ids.Parse(from)
		if err != nil {
			return err
		}
		if err := unlocked(tx, id, true); err != nil {
			return err
		}
	}
	return nil
}

func unlocked(tx store.Tx, at ids.ID, deletion bool) error {
	locked, err := scope.Locked(tx, at, deletion)
	if err != nil || len(locked) == 0 {
		return err
	}
	operation := "write"
	if deletion {
		operation = "delete"
	}
	return azerr.ScopeLocked(at.String(), operation, strings.Join(locked, ","))
}

// step is one resource of a move with its provider.
type moveStep struct {
	from, to ids.ID
	by       provider.Mover
}

// plan finds the resources and asks their providers; everything that is wrong
// is told together. done is true when all have moved already.
func (p *Provider) planMove(ctx context.Context, m movePayload) (steps []moveStep, done bool, err error) {
	var refused []*azerr.Error
	moved := 0
	for i := range m.From {
		from, err := ids.Parse(m.From[i])
		if err != nil {
			return nil, false, err
		}
		to, err := ids.Parse(m.To[i])
		if err != nil {
			return nil, false, err
		}
		served := p.serving(from)
		var here, there bool
		if served != nil {
			if here, err = holds(ctx, served, from); err != nil {
				return nil, false, err
			}
			if there, err = holds(ctx, served, to); err != nil {
				return nil, false, err
			}
		}
		mover, can := served.(provider.Mover)
		switch {
		case !here && there:
			moved++
			continue
		case !here:
			err = provider.NotFound(from)
		case there:
			err = azerr.MoveTargetExists(to.String())
		case !can:
			err = azerr.ResourceMoveNotSupported(from.Type())
		default:
			err = mover.CheckMove(ctx, from, to)
		}
		if err != nil {
			e := *azerr.From(err)
			e.Target = from.String()
			refused = append(refused, &e)
			continue
		}
		steps = append(steps, moveStep{from, to, mover})
	}
	if moved == len(m.From) {
		return nil, true, nil
	}
	if len(refused) > 0 {
		return nil, false, azerr.ResourceMoveValidationFailed(refused)
	}
	return steps, false, nil
}

func (p *Provider) serving(id ids.ID) provider.Provider {
	for _, served := range p.Registry.Providers() {
		if strings.EqualFold(served.Namespace(), id.Namespace) {
			return served
		}
	}
	return nil
}

// holds reports whether a provider has a resource.
func holds(ctx context.Context, served provider.Provider, id ids.ID) (bool, error) {
	all, err := served.Resources(ctx, id.Subscription, id.ResourceGroup)
	if err != nil {
		return false, fmt.Errorf("list resources of %s: %w", served.Namespace(), err)
	}
	for _, r := range all {
		if r.ID.Key() == id.Key() {
			return true, nil
		}
	}
	return false, nil
}

func (p *Provider) runValidateMove(ctx context.Context, op *operations.Operation) (any, error) {
	var m movePayload
	if err := json.Unmarshal(op.Payload, &m); err != nil {
		return nil, fmt.Errorf("decode payload: %w", err)
	}
	_, _, err := p.planMove(ctx, m)
	return nil, err
}

// runMove moves everything in one transaction. After a restart it finds that
// all has moved, or that nothing has.
func (p *Provider) runMove(ctx context.Context, op *operations.Operation) (any, error) {
	var m movePayload
	if err := json.Unmarshal(op.Payload, &m); err != nil {
		return nil, fmt.Errorf("decode payload: %w", err)
	}
	steps, done, err := p.planMove(ctx, m)
	if err != nil || done {
		return nil, err
	}
	err = p.Store.Update(ctx, func(tx store.Tx) error {
		if err := checkGroups(tx, m); err != nil {
			return err
		}
		for _, s := range steps {
			if err := s.by.Move(ctx, tx, s.from, s.to); err != nil {
				return fmt.Errorf("move %s: %w", s.from, err)
			}
			for _, served := range p.Registry.Providers() {
				if extending, ok := served.(provider.Extending); ok {
					if err := extending.RemoveExtensions(tx, s.from); err != nil {
						return err
					}
				}
			}
			if p.Assignments != nil { // assignments on what moves end, as in Azure
				if err := p.Assignments.RemoveScope(tx, s.from.String()); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("move resources: %w", err)
	}
	for _, s := range steps {
		s.by.Moved(ctx, s.from, s.to, op.Principal)
	}
	p.Log.InfoContext(ctx, "resources moved", "operation", op.ID, "scope", m.Source, "target", m.Target, "count", len(steps))
	return nil, nil
}
