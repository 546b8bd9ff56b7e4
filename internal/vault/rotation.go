package vault

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/store"
)

// RotationPolicy says when a key rotates by itself and how long new versions
// live. It is acted on by [Service.Sweep].
type RotationPolicy struct {
	// RotateAfterCreate or RotateBeforeExpiry is the trigger of the Rotate
	// action, at most one is set; durations are ISO 8601 as sent.
	RotateAfterCreate  string
	RotateBeforeExpiry string
	// NotifyBeforeExpiry is the trigger of the Notify action, "" for none.
	NotifyBeforeExpiry string
	// Expiry is how long after its creation a rotated version expires, "" for never.
	Expiry           string
	Created, Updated int64
}

// defaultRotation is what a key without a policy shows: a notice 30 days
// before expiry.
func defaultRotation() RotationPolicy { return RotationPolicy{NotifyBeforeExpiry: "P30D"} }

// The shortest durations of a policy, in days.
const (
	minExpiryDays  = 28
	minTriggerDays = 7
)

// lifetimeAction is one action of a policy as it is sent.
type lifetimeAction struct {
	Trigger struct {
		TimeAfterCreate  *string `json:"timeAfterCreate,omitempty"`
		TimeBeforeExpiry *string `json:"timeBeforeExpiry,omitempty"`
	} `json:"trigger"`
	Action struct {
		Type string `json:"type"`
	} `json:"action"`
}

// newRotation checks a policy as it is sent.
func newRotation(actions []lifetimeAction, expiry string) (RotationPolicy, error) {
	p := RotationPolicy{Expiry: expiry}
	if expiry != "" {
		if err := checkPeriod("expiryTime", expiry, minExpiryDays); err != nil {
			return p, err
		}
	}
	seen := map[string]bool{}
	for _, a := range actions {
		kind := strings.ToLower(a.Action.Type)
		after, before := text(a.Trigger.TimeAfterCreate), text(a.Trigger.TimeBeforeExpiry)
		switch {
		case kind != "rotate" && kind != "notify":
			return p, badPolicy("the action type '" + a.Action.Type + "' is neither Rotate nor Notify.")
		case seen[kind]:
			return p, badPolicy("the action " + a.Action.Type + " is there twice.")
		case (after == "") == (before == ""):
			return p, badPolicy("a trigger needs one of timeAfterCreate and timeBeforeExpiry.")
		case kind == "notify" && after != "":
			return p, badPolicy("the action Notify cannot be triggered by timeAfterCreate.")
		}
		seen[kind] = true
		if kind == "notify" {
			p.NotifyBeforeExpiry = before
			if err := checkPeriod("timeBeforeExpiry", before, 0); err != nil {
				return p, err
			}
			continue
		}
		p.RotateAfterCreate, p.RotateBeforeExpiry = after, before
		if err := checkPeriod("the trigger of Rotate", after+before, minTriggerDays); err != nil {
			return p, err
		}
	}
	return p, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func badPolicy(why string) error {
	return azerr.BadParameter("The rotation policy is not valid: "+why, "")
}

func checkPeriod(what, period string, days int) error {
	d, err := parseDuration(period)
	if err != nil {
		return badPolicy(what + ": " + err.Error() + ".")
	}
	if !d.atLeast(days) {
		return badPolicy(fmt.Sprintf("%s must be at least %d days.", what, days))
	}
	return nil
}

func (s *Service) rotationPolicy(ctx context.Context, v *Vault, name string) (Object, RotationPolicy, error) {
	var o Object
	err := s.Store.View(ctx, func(tx store.Tx) (err error) {
		o, err = s.liveObject(tx, shelfOf(areaKeys), v, name)
		return err
	})
	if err != nil || o.Rotation == nil {
		return o, defaultRotation(), err
	}
	return o, *o.Rotation, nil
}

func (s *Service) setRotationPolicy(ctx context.Context, v *Vault, name string, p RotationPolicy) (Object, RotationPolicy, error) {
	var o Object
	sh := shelfOf(areaKeys)
	err := s.update(ctx, func(tx store.Tx) error {
		v, err := s.inVault(tx, v)
		if err != nil {
			return err
		}
		if o, err = s.liveObject(tx, sh, v, name); err != nil {
			return err
		}
		p.Updated = s.now().Unix()
		p.Created = p.Updated
		if o.Rotation != nil {
			p.Created = o.Rotation.Created
		}
		o.Rotation = &p
		return store.PutJSON(tx, sh.objects, objectPath(v, name), o)
	})
	if err == nil {
		s.hint(v.Name)
	}
	return o, p, err
}

// rotateAt is when the newest version is to be followed by a new one; ok is
// false when the policy does not say. A disabled key does not rotate: a new,
// enabled version would undo the revocation.
func (p *RotationPolicy) rotateAt(kv *KeyVersion) (at time.Time, ok bool) {
	if p == nil || !kv.Attributes.Enabled {
		return time.Time{}, false
	}
	if d, err := parseDuration(p.RotateAfterCreate); err == nil {
		return d.after(time.Unix(kv.Attributes.Created, 0).UTC()), true
	}
	if d, err := parseDuration(p.RotateBeforeExpiry); err == nil && kv.Attributes.Expires != nil {
		return d.before(time.Unix(*kv.Attributes.Expires, 0).UTC()), true
	}
	return time.Time{}, false
}

// notifyAt is when the near-expiry notice of a version is due.
func (p *RotationPolicy) notifyAt(kv *KeyVersion) (at time.Time, ok bool) {
	if p == nil || kv.Notified != nil || kv.Attributes.Expires == nil {
		return time.Time{}, false
	}
	d, err := parseDuration(p.NotifyBeforeExpiry)
	if err != nil {
		return time.Time{}, false
	}
	return d.before(time.Unix(*kv.Attributes.Expires, 0).UTC()), true
}
