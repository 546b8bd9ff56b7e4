package subscription

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/store"
)

type changed struct {
	SubscriptionID string `json:"subscriptionId"`
}

// change edits the record of the request's subscription.
func (p *rp) change(ctx context.Context, req *provider.Request, edit func(*scope.Subscription) error) (*provider.Response, error) {
	var s scope.Subscription
	err := p.Store.Update(ctx, func(tx store.Tx) (err error) {
		s, err = scope.FindSubscription(tx, req.ID.Subscription)
		if errors.Is(err, scope.ErrNoSubscription) {
			return azerr.SubscriptionNotFound(req.ID.Subscription)
		}
		if err != nil {
			return err
		}
		if err := edit(&s); err != nil {
			return err
		}
		return scope.PutSubscription(tx, s)
	})
	if err != nil {
		return nil, fmt.Errorf("change subscription: %w", err)
	}
	p.Log.InfoContext(ctx, "subscription changed", "scope", s.Scope().String(), "operation", req.Action, "principal", req.Principal.ObjectID)
	return provider.OK(changed{s.ID})
}

func (p *rp) rename(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var body struct{ SubscriptionName string }
	if err := json.Unmarshal(req.Body, &body); err != nil {
		return nil, azerr.InvalidRequestContent("An object with 'subscriptionName' is expected").Because(err)
	}
	if n := len([]rune(body.SubscriptionName)); n == 0 || n > 64 {
		return nil, azerr.InvalidSubscriptionRequest("The property 'subscriptionName' must have 1 to 64 characters.")
	}
	return p.change(ctx, req, func(s *scope.Subscription) error {
		s.Name = body.SubscriptionName
		return nil
	})
}

// setState cancels or enables. A canceled subscription keeps everything in it,
// which can be read and deleted but not written.
func (p *rp) setState(ctx context.Context, req *provider.Request, state scope.SubscriptionState) (*provider.Response, error) {
	return p.change(ctx, req, func(s *scope.Subscription) error {
		if s.State == state {
			return azerr.SubscriptionStateConflict(s.ID, string(s.State))
		}
		s.State = state
		return nil
	})
}
