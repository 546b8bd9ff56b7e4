package vault

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// KeyView is a version of a key as the management plane shows it.
type KeyView struct {
	Vault      Vault
	Name       string
	Version    string
	Type       string // RSA, RSA-HSM, EC, EC-HSM
	Bits       int    // RSA
	Curve      string // EC
	Ops        []string
	Attributes Attributes
	Tags       map[string]string
	// Rotation is the policy in its JSON form, nil when it was never set.
	Rotation any
	// URI has no version, URIWithVersion has.
	URI, URIWithVersion string
}

// SecretView is a version of a secret as the management plane shows it: never
// with its value.
type SecretView struct {
	Vault               Vault
	Name                string
	ContentType         string
	Attributes          Attributes
	Tags                map[string]string
	URI, URIWithVersion string
}

func (s *Service) keyView(f found[KeyVersion]) KeyView {
	kv := &f.Version
	out := KeyView{Vault: f.Vault, Name: f.Object.Name, Version: kv.ID, Type: kv.Kind.Type, Bits: kv.Kind.Bits, Curve: kv.Kind.Curve,
		Ops: kv.Ops, Attributes: kv.Attributes, Tags: kv.Tags, URI: s.URI(&f.Vault) + "keys/" + f.Object.Name}
	out.URIWithVersion = out.URI + "/" + kv.ID
	if f.Object.Rotation != nil {
		out.Rotation = f.Object.Rotation.body()
	}
	return out
}

func (s *Service) secretView(f found[SecretVersion]) SecretView {
	out := SecretView{Vault: f.Vault, Name: f.Object.Name, ContentType: f.Version.ContentType, Attributes: f.Version.Attributes,
		Tags: f.Version.Tags, URI: s.URI(&f.Vault) + "secrets/" + f.Object.Name}
	out.URIWithVersion = out.URI + "/" + f.Version.ID
	return out
}

// managed admits a management-plane call on an object. ARM has already decided
// over the call itself. In an RBAC vault a key needs the caller's data action
// besides; access policies and secrets do not come into it. Such a refusal is a
// 400 that names the management plane.
func (s *Service) managed(ctx context.Context, id ids.ID, name string, r right, by authz.Principal) (_ *Vault, err error) {
	if r == keyGet || r == keyList || r == secretList { // writes are recorded with their outcome
		defer s.recorded(ctx, string(r.area())+"/"+r.permission(), id.String()+"/"+string(r.area())+"/"+name, by, &err)
	}
	v, err := s.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if name != "" && !validObjectName(name) {
		return nil, azerr.BadParameter("The name '"+name+"' is not one that keys and secrets can have.", "")
	}
	if !v.RBAC || r.area() != areaKeys {
		return &v, nil
	}
	by.Name = "KeyVault/ManagementPlane"
	_, err = s.permit(ctx, &v, Caller{Principal: by}, r, name)
	var refused *azerr.Error
	if errors.As(err, &refused) {
		return nil, azerr.VaultManagementRefused(refused)
	}
	return &v, err
}

// EnsureKey makes a key when there is none of the name; an existing one is
// returned as it is, untouched.
func (s *Service) EnsureKey(ctx context.Context, id ids.ID, name string, spec KeySpec, rotation *RotationPolicy, by authz.Principal) (view KeyView, err error) {
	defer s.recorded(ctx, "keys/create", id.String()+"/keys/"+name, by, &err)
	v, err := s.managed(ctx, id, name, keyCreate, by)
	if err != nil {
		return KeyView{}, err
	}
	sh := shelfOf(areaKeys)
	f, err := getVersion[KeyVersion](ctx, s, sh, v, name, "")
	var missing *azerr.Error
	if err == nil || !errors.As(err, &missing) {
		return s.keyView(f), err
	}
	f, err = s.createKey(ctx, v, name, spec, func(_ store.Tx, _ *Vault, o *Object) error {
		if len(o.Versions) > 0 {
			return errExists
		}
		if rotation != nil {
			p := *rotation
			p.Created = s.now().Unix()
			p.Updated = p.Created
			o.Rotation = &p
		}
		return nil
	})
	if errors.Is(err, errExists) { // made by another request in the meantime
		f, err = getVersion[KeyVersion](ctx, s, sh, v, name, "")
	}
	return s.keyView(f), err
}

// ParseRotationPolicy reads a policy in its JSON form.
func ParseRotationPolicy(data json.RawMessage) (*RotationPolicy, error) {
	var body rotationBody
	if err := json.Unmarshal(data, &body); err != nil {
		return nil, azerr.BadParameter("The rotation policy is not valid: "+jsonProblem(err), "")
	}
	p, err := body.policy()
	if err != nil {
		return nil, err
	}
	return &p, nil
}

// Key returns a version of a key; an empty version is the newest.
func (s *Service) Key(ctx context.Context, id ids.ID, name, version string, by authz.Principal) (KeyView, error) {
	v, err := s.managed(ctx, id, name, keyGet, by)
	if err != nil {
		return KeyView{}, err
	}
	f, err := getVersion[KeyVersion](ctx, s, shelfOf(areaKeys), v, name, version)
	return s.keyView(f), err
}

// Keys lists the keys of a vault with their newest versions, by name.
func (s *Service) Keys(ctx context.Context, id ids.ID, by authz.Principal) ([]KeyView, error) {
	v, err := s.managed(ctx, id, "", keyList, by)
	if err != nil {
		return nil, err
	}
	return views(s.keyView, func(after string) ([]found[KeyVersion], bool, error) {
		return listObjects[KeyVersion](ctx, s, shelfOf(areaKeys), v, false, after, pageSize)
	}, objectName[KeyVersion])
}

// KeyVersions lists the versions of a key, oldest first.
func (s *Service) KeyVersions(ctx context.Context, id ids.ID, name string, by authz.Principal) ([]KeyView, error) {
	v, err := s.managed(ctx, id, name, keyList, by)
	if err != nil {
		return nil, err
	}
	return views(s.keyView, func(after string) ([]found[KeyVersion], bool, error) {
		return listVersions[KeyVersion](ctx, s, shelfOf(areaKeys), v, name, after, pageSize)
	}, func(f found[KeyVersion]) string { return f.Version.ID })
}

// views collects every page of a list.
func views[T, V any](view func(found[T]) V, fetch func(after string) ([]found[T], bool, error), key func(found[T]) string) ([]V, error) {
	out := []V{}
	for after := ""; ; {
		items, more, err := fetch(after)
		if err != nil {
			return nil, err
		}
		for _, f := range items {
			out = append(out, view(f))
		}
		if !more {
			return out, nil
		}
		after = key(items[len(items)-1])
	}
}

// SetSecret writes a new version of a secret.
func (s *Service) SetSecret(ctx context.Context, id ids.ID, name string, spec SecretSpec, by authz.Principal) (view SecretView, err error) {
	defer s.recorded(ctx, "secrets/set", id.String()+"/secrets/"+name, by, &err)
	v, err := s.managed(ctx, id, name, secretSet, by)
	if err != nil {
		return SecretView{}, err
	}
	f, err := s.setSecret(ctx, v, name, spec)
	return s.secretView(f), err
}

// UpdateSecret changes the newest version of a secret.
func (s *Service) UpdateSecret(ctx context.Context, id ids.ID, name string, change SecretChange, by authz.Principal) (view SecretView, err error) {
	defer s.recorded(ctx, "secrets/set", id.String()+"/secrets/"+name, by, &err)
	v, err := s.managed(ctx, id, name, secretSet, by)
	if err != nil {
		return SecretView{}, err
	}
	f, err := s.updateSecret(ctx, v, name, "", change)
	return s.secretView(f), err
}

// SecretView returns the newest version of a secret without its value.
func (s *Service) SecretView(ctx context.Context, id ids.ID, name string, by authz.Principal) (SecretView, error) {
	v, err := s.managed(ctx, id, name, secretList, by)
	if err != nil {
		return SecretView{}, err
	}
	f, err := getVersion[SecretVersion](ctx, s, shelfOf(areaSecrets), v, name, "")
	return s.secretView(f), err
}

// Secrets lists the secrets of a vault without their values, by name.
func (s *Service) Secrets(ctx context.Context, id ids.ID, by authz.Principal) ([]SecretView, error) {
	v, err := s.managed(ctx, id, "", secretList, by)
	if err != nil {
		return nil, err
	}
	return views(s.secretView, func(after string) ([]found[SecretVersion], bool, error) {
		return listObjects[SecretVersion](ctx, s, shelfOf(areaSecrets), v, false, after, pageSize)
	}, objectName[SecretVersion])
}

// DeploymentSecret is the value of a secret that a deployment's parameter
// refers to; an empty version is the newest. The vault must be enabled for
// template deployment. That by, who deploys, holds
// Microsoft.KeyVault/vaults/deploy/action on the vault is for the deployment
// engine to ask; the record says who it was.
func (s *Service) DeploymentSecret(ctx context.Context, id ids.ID, name, version string, by authz.Principal) (secret Secret, err error) {
	event := managementEvent("secrets/get", id.String()+"/secrets/"+name, by)
	event.Rule, event.Version, event.Detail = "Microsoft.KeyVault/vaults/deploy/action", version, "for a parameter of a deployment"
	defer func() { err = s.record(ctx, event, err) }()
	v, err := s.Get(ctx, id)
	if err != nil {
		return "", err
	}
	if !v.EnabledForTemplateDeployment {
		return "", azerr.VaultNotForDeployment(v.ResourceID)
	}
	_, value, err := s.getSecret(ctx, &v, name, version)
	return value, err
}
