package vault

import (
	"context"
	"crypto"
	"fmt"
	"slices"
	"time"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/store"
)

// KeySpec is what a client says about a key to be made.
type KeySpec struct {
	Type       string // kty
	Size       int    // 0: 2048
	Curve      string // "": P-256
	Ops        []string
	Attributes *AttributeChange
	Tags       map[string]string
}

func (s *Service) newKeyVersion(kind keyKind, spec KeySpec) (KeyVersion, error) {
	kv := KeyVersion{ID: newVersion(), Kind: kind, Tags: spec.Tags}
	if err := checkObjectTags(spec.Tags); err != nil {
		return KeyVersion{}, err
	}
	if len(spec.Ops) == 0 {
		spec.Ops = defaultOps(kind)
	}
	var err error
	if kv.Ops, err = checkOps(kind, spec.Ops); err != nil {
		return KeyVersion{}, err
	}
	kv.Attributes, err = newAttributes(s.now(), spec.Attributes)
	return kv, err
}

// storeKey writes a version with its private key.
func (s *Service) storeKey(ctx context.Context, v *Vault, name string, kv KeyVersion, private crypto.Signer, may guard) (found[KeyVersion], error) {
	if err := describe(&kv, private.Public()); err != nil {
		return found[KeyVersion]{}, err
	}
	der, err := encodePrivate(private)
	if err != nil {
		return found[KeyVersion]{}, err
	}
	defer clear(der)
	return writeVersion(ctx, s, shelfOf(areaKeys), v, name, kv.ID, kv, der, may)
}

// createKey makes a key, or a new version of it. The key is generated before
// the transaction that stores it, so a crash in between leaves nothing.
func (s *Service) createKey(ctx context.Context, v *Vault, name string, spec KeySpec, may guard) (found[KeyVersion], error) {
	kind, err := parseKind(spec.Type, spec.Size, spec.Curve, v.SKU)
	if err != nil {
		return found[KeyVersion]{}, err
	}
	kv, err := s.newKeyVersion(kind, spec)
	if err != nil {
		return found[KeyVersion]{}, err
	}
	if err := s.checkFree(ctx, v, name); err != nil {
		return found[KeyVersion]{}, err
	}
	private, err := s.generate(ctx, kind)
	if err != nil {
		return found[KeyVersion]{}, err
	}
	return s.storeKey(ctx, v, name, kv, private, may)
}

// checkFree refuses the name of a soft-deleted key before a key is generated;
// the write checks it again.
func (s *Service) checkFree(ctx context.Context, v *Vault, name string) error {
	sh := shelfOf(areaKeys)
	return s.Store.View(ctx, func(tx store.Tx) error {
		o, ok, err := s.find(tx, sh, v, name)
		if err == nil && ok && o.Deleted != nil {
			err = azerr.ObjectIsDeletedButRecoverable(sh.noun, name)
		}
		return err
	})
}

// importKey stores a key that a client made. It wipes jwk.
func (s *Service) importKey(ctx context.Context, v *Vault, name string, jwk *jsonWebKey, hsm bool, spec KeySpec) (found[KeyVersion], error) {
	defer jwk.wipe()
	kind, private, err := jwk.private(hsm, v.SKU)
	if err != nil {
		return found[KeyVersion]{}, err
	}
	spec.Ops = jwk.Ops
	kv, err := s.newKeyVersion(kind, spec)
	if err != nil {
		return found[KeyVersion]{}, err
	}
	return s.storeKey(ctx, v, name, kv, private, nil)
}

// keyChange is an update of a version; nil leaves a property alone.
type keyChange struct {
	Ops        []string
	Attributes *AttributeChange
	Tags       map[string]string
}

func (s *Service) updateKey(ctx context.Context, v *Vault, name, version string, change keyChange) (found[KeyVersion], error) {
	if err := checkObjectTags(change.Tags); err != nil {
		return found[KeyVersion]{}, err
	}
	return updateVersion(ctx, s, shelfOf(areaKeys), v, name, version, func(kv *KeyVersion) error {
		if change.Ops != nil {
			ops, err := checkOps(kv.Kind, change.Ops)
			if err != nil {
				return err
			}
			kv.Ops = ops
		}
		if change.Tags != nil {
			kv.Tags = change.Tags
		}
		kv.Attributes.Updated = s.now().Unix()
		return change.Attributes.apply(&kv.Attributes)
	})
}

// rotateKey makes a new version like the newest one: same type, size,
// operations and tags. A rotation policy sets its expiry.
func (s *Service) rotateKey(ctx context.Context, v *Vault, name string) (found[KeyVersion], error) {
	old, err := getVersion[KeyVersion](ctx, s, shelfOf(areaKeys), v, name, "")
	if err != nil {
		return found[KeyVersion]{}, err
	}
	kv := s.successor(old)
	private, err := s.generate(ctx, kv.Kind)
	if err != nil {
		return found[KeyVersion]{}, err
	}
	return s.storeKey(ctx, v, name, kv, private, func(_ store.Tx, _ *Vault, o *Object) error {
		if len(o.Versions) == 0 { // purged while the key was generated
			return azerr.VaultObjectNotFound("Key", name)
		}
		return nil
	})
}

func (s *Service) successor(old found[KeyVersion]) KeyVersion {
	now := s.now()
	kv := KeyVersion{ID: newVersion(), Kind: old.Version.Kind, Ops: slices.Clone(old.Version.Ops), Tags: old.Version.Tags,
		Attributes: Attributes{Enabled: true, Created: now.Unix(), Updated: now.Unix()}}
	if p := old.Object.Rotation; p != nil && p.Expiry != "" {
		if d, err := parseDuration(p.Expiry); err == nil {
			exp := d.after(now).Unix()
			kv.Attributes.Expires = &exp
		}
	}
	return kv
}

// operation is a use of a key: its name in key_ops and whether it makes new
// protected data, which an expired or not yet valid key must not.
type operation struct {
	name     string
	protects bool
	private  bool
}

func operationOf(name string) operation {
	return operation{name: name, protects: name == opEncrypt || name == opWrap || name == opSign,
		private: name == opDecrypt || name == opUnwrap || name == opSign}
}

// check applies the state of a version: enabled, then the window of validity,
// then key_ops.
func (op operation) check(kv *KeyVersion, now time.Time) error {
	a := kv.Attributes
	switch {
	case !a.Enabled:
		return azerr.KeyDisabled(op.name)
	case op.protects && a.NotBefore != nil && now.Unix() < *a.NotBefore:
		return azerr.KeyNotYetValid(op.name)
	case op.protects && a.Expires != nil && now.Unix() >= *a.Expires:
		return azerr.KeyExpired(op.name)
	case !slices.Contains(kv.Ops, op.name):
		return azerr.KeyOperationForbidden(op.name)
	}
	return nil
}

// use reads a version for an operation and, when the operation needs it, its
// private key.
func (s *Service) use(ctx context.Context, v *Vault, name, version string, op operation) (found[KeyVersion], crypto.Signer, error) {
	asked := versionPath(v, name, version)
	f, known, seen := s.records.version(asked)
	if known {
		if err := op.check(&f.Version, s.now()); err != nil || !op.private {
			return f, nil, err
		}
		if private, _ := s.keys.get(versionPath(v, name, f.Version.ID)); private != nil {
			return f, private, nil
		}
	}
	var private crypto.Signer
	var der []byte
	var generation uint64
	var path string
	sh := shelfOf(areaKeys)
	err := s.Store.View(ctx, func(tx store.Tx) (err error) {
		if f, err = liveVersion[KeyVersion](s, tx, sh, v, name, version); err != nil {
			return err
		}
		s.records.putVersion(asked, f, seen)
		if err := op.check(&f.Version, s.now()); err != nil || !op.private {
			return err
		}
		path = versionPath(v, name, f.Version.ID)
		if private, generation = s.keys.get(path); private == nil {
			der, err = tx.Get(sh.values, path)
		}
		return err
	})
	if err != nil || der == nil {
		return f, private, err
	}
	if private, err = decodePrivate(der); err != nil {
		return f, nil, fmt.Errorf("key %s/%s: %w", name, f.Version.ID, err)
	}
	s.keys.put(path, private, generation)
	return f, private, nil
}

// transform is encrypt, decrypt, wrapKey, unwrapKey and sign: input bytes to
// output bytes.
func (s *Service) transform(ctx context.Context, v *Vault, name, version, opName, alg string, input []byte) (found[KeyVersion], []byte, error) {
	op := operationOf(opName)
	f, private, err := s.use(ctx, v, name, version, op)
	if err != nil {
		return f, nil, err
	}
	kind := f.Version.Kind
	var out []byte
	switch opName {
	case opSign:
		out, err = sign(private, kind, alg, input)
	case opDecrypt, opUnwrap:
		out, err = decrypt(private, kind, alg, input)
	default:
		var public crypto.PublicKey
		if public, err = f.Version.public(); err == nil {
			out, err = encrypt(public, kind, alg, input)
		}
	}
	return f, out, err
}

// verifySignature is the verify operation.
func (s *Service) verifySignature(ctx context.Context, v *Vault, name, version, alg string, digest, signature []byte) (bool, error) {
	f, _, err := s.use(ctx, v, name, version, operationOf(opVerify))
	if err != nil {
		return false, err
	}
	public, err := f.Version.public()
	if err != nil {
		return false, err
	}
	return verify(public, f.Version.Kind, alg, digest, signature)
}
