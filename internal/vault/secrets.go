package vault

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/store"
)

// SecretVersion is one version of a secret without its value, which is stored
// apart.
type SecretVersion struct {
	ID          string
	ContentType string
	Attributes  Attributes
	Tags        map[string]string
}

// maxSecretBytes is the service's limit of a value.
const maxSecretBytes = 25 << 10

// Secret is a value that prints as REDACTED.
type Secret string

// Reveal is the value itself, for the one answer that shows it.
func (s Secret) Reveal() string { return string(s) }

// Format, MarshalText and LogValue keep the value out of texts.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText is Format for JSON and other encodings.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue is Format for structured logs.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// SecretSpec is what a client says about a version to be set.
type SecretSpec struct {
	Value       Secret
	ContentType string
	Attributes  *AttributeChange
	Tags        map[string]string
}

// setSecret writes a new version of a secret.
func (s *Service) setSecret(ctx context.Context, v *Vault, name string, spec SecretSpec) (found[SecretVersion], error) {
	if len(spec.Value) > maxSecretBytes {
		return found[SecretVersion]{}, azerr.BadParameter(fmt.Sprintf("Property 'value' is longer than %d bytes.", maxSecretBytes), "")
	}
	if err := checkObjectTags(spec.Tags); err != nil {
		return found[SecretVersion]{}, err
	}
	if len(spec.ContentType) > 255 {
		return found[SecretVersion]{}, azerr.BadParameter("Property 'contentType' is longer than 255 characters.", "")
	}
	sv := SecretVersion{ID: newVersion(), ContentType: spec.ContentType, Tags: spec.Tags}
	var err error
	if sv.Attributes, err = newAttributes(s.now(), spec.Attributes); err != nil {
		return found[SecretVersion]{}, err
	}
	value := []byte(spec.Value)
	defer clear(value)
	return writeVersion(ctx, s, shelfOf(areaSecrets), v, name, sv.ID, sv, value, nil)
}

// getSecret reads a version with its value. A disabled one is refused.
func (s *Service) getSecret(ctx context.Context, v *Vault, name, version string) (found[SecretVersion], Secret, error) {
	var f found[SecretVersion]
	var value Secret
	sh := shelfOf(areaSecrets)
	err := s.Store.View(ctx, func(tx store.Tx) (err error) {
		if f, err = liveVersion[SecretVersion](s, tx, sh, v, name, version); err != nil {
			return err
		}
		if !f.Version.Attributes.Enabled {
			return azerr.SecretDisabled()
		}
		raw, err := tx.Get(sh.values, versionPath(v, name, f.Version.ID))
		if err != nil {
			return fmt.Errorf("read secret: %w", err)
		}
		value = Secret(raw)
		clear(raw)
		return nil
	})
	return f, value, err
}

// SecretChange is an update of a version; nil leaves a property alone.
type SecretChange struct {
	ContentType *string
	Attributes  *AttributeChange
	Tags        map[string]string
}

func (s *Service) updateSecret(ctx context.Context, v *Vault, name, version string, change SecretChange) (found[SecretVersion], error) {
	if err := checkObjectTags(change.Tags); err != nil {
		return found[SecretVersion]{}, err
	}
	return updateVersion(ctx, s, shelfOf(areaSecrets), v, name, version, func(sv *SecretVersion) error {
		if change.ContentType != nil {
			sv.ContentType = *change.ContentType
		}
		if change.Tags != nil {
			sv.Tags = change.Tags
		}
		sv.Attributes.Updated = s.now().Unix()
		return change.Attributes.apply(&sv.Attributes)
	})
}
