package directory

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// What a server of several tenants asks to find the one that a request is for.
// Nothing here is a check: the tenant that is found makes all of them.

// ClaimedTenant is the GUID of the tenant that an access token says it is from,
// "" when it says none. Nothing of the token is verified.
func ClaimedTenant(token string) string {
	parts := strings.Split(token, ".")
	if len(token) > maxTokenBytes || len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	return claimedTenant(payload)
}

// claimedTenant is the tenant of the issuer that claims name, "" when that is
// not the issuer of a tenant.
func claimedTenant(payload []byte) string {
	var c struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(payload, &c) != nil {
		return ""
	}
	tenant := strings.TrimSuffix(strings.TrimPrefix(c.Issuer, "https://sts.windows.net/"), "/")
	if c.Issuer != issuer(tenant) || !ids.IsGUID(tenant) {
		return ""
	}
	return tenant
}

// IsShared reports whether the tenant segment of a sign-in path stands for any tenant.
func IsShared(segment string) bool { return isShared(segment) }

// MaxForm bounds the form of a request to the sign-in host, in bytes.
const MaxForm = maxFormBytes

// Continues reports whether a request that names no tenant goes on with
// something that began in this one: a page, a code, a device's wait, a session.
func (d *Directory) Continues(ctx context.Context, values url.Values) (bool, error) {
	if d.signIns.knows(values) {
		return true, nil
	}
	token := values.Get("refresh_token")
	if token == "" {
		return false, nil
	}
	err := d.store.View(ctx, func(tx store.Tx) error {
		_, err := tx.Get(bucketSessions, refreshKey(token))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (s *signIns) knows(values url.Values) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	code := typedCode(values.Get("user_code"))
	for _, f := range s.devices {
		if code != "" && f.userCode == code {
			return true
		}
	}
	return s.pages[values.Get("flow")] != nil || s.codes[refreshKey(values.Get("code"))] != nil || s.devices[refreshKey(values.Get("device_code"))] != nil
}

// Registers reports whether an application is registered in this tenant.
func (d *Directory) Registers(ctx context.Context, appID string) (bool, error) {
	err := d.store.View(ctx, func(tx store.Tx) error {
		_, err := applicationByAppID(tx, appID)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// HoldsIdentity reports whether a request to the metadata endpoint, or to the
// identity endpoint, names a user-assigned identity of this tenant: by the user
// of its proxy, or by its secret.
func (d *Directory) HoldsIdentity(r *http.Request) (bool, error) {
	user, byName := r.Context().Value(proxyUserKey{}).(proxyUser)
	err := d.store.View(r.Context(), func(tx store.Tx) error {
		if byName {
			_, err := userAssigned(tx, user.name)
			return err
		}
		secrets := endpointSecrets(r)
		if len(secrets) != 1 {
			return ErrNotFound
		}
		_, err := identityBySecret(tx, secrets[0])
		return err
	})
	var unknown *imdsError
	var refused *endpointError
	if errors.Is(err, ErrNotFound) || errors.As(err, &unknown) || errors.As(err, &refused) {
		return false, nil
	}
	return err == nil, err
}
