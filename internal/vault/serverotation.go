package vault

type rotationBody struct {
	ID              string              `json:"id,omitempty"`
	LifetimeActions []lifetimeAction    `json:"lifetimeActions"`
	Attributes      *rotationAttributes `json:"attributes"`
}

type rotationAttributes struct {
	ExpiryTime *string `json:"expiryTime,omitempty"`
	Created    int64   `json:"created,omitempty"`
	Updated    int64   `json:"updated,omitempty"`
}

func (c *call) rotationBody(o Object, p RotationPolicy) rotationBody {
	out := p.body()
	out.ID = c.objectID(areaKeys, o.Name, "rotationpolicy")
	return out
}

func (p RotationPolicy) body() rotationBody {
	out := rotationBody{LifetimeActions: []lifetimeAction{}, Attributes: &rotationAttributes{Created: p.Created, Updated: p.Updated}}
	if p.Expiry != "" {
		out.Attributes.ExpiryTime = &p.Expiry
	}
	add := func(kind, after, before string) {
		var a lifetimeAction
		a.Action.Type = kind
		switch {
		case after != "":
			a.Trigger.TimeAfterCreate = &after
		case before != "":
			a.Trigger.TimeBeforeExpiry = &before
		default:
			return
		}
		out.LifetimeActions = append(out.LifetimeActions, a)
	}
	add("Rotate", p.RotateAfterCreate, p.RotateBeforeExpiry)
	add("Notify", "", p.NotifyBeforeExpiry)
	return out
}

func (b rotationBody) policy() (RotationPolicy, error) {
	expiry := ""
	if b.Attributes != nil {
		expiry = text(b.Attributes.ExpiryTime)
	}
	return newRotation(b.LifetimeActions, expiry)
}

func (s *Service) serveGetRotationPolicy(c *call) (any, error) {
	o, p, err := s.rotationPolicy(c.ctx, c.vault, c.name)
	if err != nil {
		return nil, err
	}
	return c.rotationBody(o, p), nil
}

func (s *Service) serveSetRotationPolicy(c *call) (any, error) {
	var body rotationBody
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	p, err := body.policy()
	if err != nil {
		return nil, err
	}
	o, p, err := s.setRotationPolicy(c.ctx, c.vault, c.name, p)
	if err != nil {
		return nil, err
	}
	return c.rotationBody(o, p), nil
}
