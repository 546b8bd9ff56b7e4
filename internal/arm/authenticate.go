package arm

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/wire"
)

// audiences are what a token for ARM may be for; the verifier takes each with
// and without a final slash.
func audiences() []string {
	return []string{"https://management.azure.com/", "https://management.core.windows.net/"}
}

// authenticate verifies the bearer token of r.
func (f *Front) authenticate(r *http.Request) (authz.Principal, error) {
	token := wire.BearerToken(r)
	if token == "" {
		return authz.Principal{}, azerr.AuthenticationFailed(f.tenantID)
	}
	p, err := f.verifier.Verify(r.Context(), token, audiences()...)
	var refused *authz.TokenError
	switch {
	case err == nil:
		p.FirstParty = "" // never from outside
		return p, nil
	case !errors.As(err, &refused):
		return authz.Principal{}, fmt.Errorf("verify token: %w", err)
	}
	return authz.Principal{}, f.unauthorized(refused).Because(err)
}

func (f *Front) unauthorized(refused *authz.TokenError) *azerr.Error {
	switch refused.Kind {
	case authz.TokenMissing:
		return azerr.AuthenticationFailed(f.tenantID)
	case authz.TokenIssuer:
		return azerr.InvalidAuthenticationTokenTenant(f.tenantID, refused.Found)
	case authz.TokenAudience:
		return azerr.InvalidAuthenticationTokenAudience(f.tenantID, refused.Found, "'https://management.core.windows.net/','https://management.azure.com/'")
	case authz.TokenExpired:
		return azerr.ExpiredAuthenticationToken(f.tenantID, usTime(refused.Found), f.now().UTC().Format(usFormat))
	}
	return azerr.InvalidAuthenticationToken(f.tenantID)
}

// usFormat is how ARM prints times inside messages.
const usFormat = "1/2/2006 3:04:05 PM"

// usTime reprints an RFC 3339 time, or gives the text back.
func usTime(text string) string {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return text
	}
	return t.UTC().Format(usFormat)
}
