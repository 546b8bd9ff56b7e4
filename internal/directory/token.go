package directory

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

const (
	// clientTokenLifetime and identityTokenLifetime are Entra's defaults.
	clientTokenLifetime   = time.Hour
	identityTokenLifetime = 24 * time.Hour
	// clockSkew is how far nbf lies before the signing, as Entra's does, so
	// that a client with a slow clock is not refused.
	clockSkew = 5 * time.Minute
)

// claims are those of a v1.0 access token, which is what Resource Manager, the
// vault and Kusto get in public Azure from either endpoint.
type claims struct {
	Audience       string `json:"aud"`
	Issuer         string `json:"iss"`
	IssuedAt       int64  `json:"iat"`
	NotBefore      int64  `json:"nbf"`
	Expires        int64  `json:"exp"`
	AppDisplayName string `json:"app_displayname,omitempty"`
	AppID          string `json:"appid"`
	// AppIDAuth says how the client proved itself: "1" by secret, "2" by
	// certificate, which is also what managed identities carry.
	AppIDAuth        string `json:"appidacr"`
	IdentityProvider string `json:"idp"`
	IdentityType     string `json:"idtyp"`
	ObjectID         string `json:"oid"`
	Subject          string `json:"sub"`
	TenantID         string `json:"tid"`
	UniqueID         string `json:"uti"`
	Version          string `json:"ver"`
	// For people: what they may have the client do, and who they are.
	Scope      string   `json:"scp,omitempty"`
	UPN        string   `json:"upn,omitempty"`
	UniqueName string   `json:"unique_name,omitempty"`
	Name       string   `json:"name,omitempty"`
	GivenName  string   `json:"given_name,omitempty"`
	FamilyName string   `json:"family_name,omitempty"`
	Methods    []string `json:"amr,omitempty"`
	// Groups are for the reader of the token; our own planes ask the directory,
	// which knows of changes. With too many of them there is a pointer instead.
	Groups       []string                     `json:"groups,omitempty"`
	ClaimNames   map[string]string            `json:"_claim_names,omitempty"`
	ClaimSources map[string]map[string]string `json:"_claim_sources,omitempty"`
	// ManagedIdentity is the ARM id of the resource that owns the identity.
	ManagedIdentity string `json:"xms_mirid,omitempty"`
}

// Values of idtyp.
const (
	identityTypeApp  = "app"
	identityTypeUser = "user"
)

func issuer(tenantID string) string { return "https://sts.windows.net/" + tenantID + "/" }

// appClaims are the claims of a service principal. The caller has checked that
// audience is known.
func (d *Directory) appClaims(p principal, audience string, lifetime time.Duration) claims {
	now := d.now()
	c := claims{
		Audience: audience, Issuer: issuer(d.tenantID), IssuedAt: now.Add(-clockSkew).Unix(), NotBefore: now.Add(-clockSkew).Unix(), Expires: now.Add(lifetime).Unix(),
		AppDisplayName: p.DisplayName, AppID: p.AppID, AppIDAuth: provedBySecret, IdentityProvider: issuer(d.tenantID), IdentityType: identityTypeApp,
		ObjectID: p.ObjectID, Subject: p.ObjectID, TenantID: d.tenantID, UniqueID: newUniqueID(), Version: "1.0",
	}
	if p.managed() {
		c.AppIDAuth, c.ManagedIdentity = provedByCertificate, p.ResourceID
	}
	if strings.EqualFold(strings.TrimSuffix(audience, "/"), exchangeAudience) {
		// Whoever takes it in exchange compares the issuer with that of v2.0 tokens.
		c.Audience, c.Issuer, c.Version = exchangeAudience, issuer2(d.tenantID), "2.0"
	}
	return c
}

// sign makes an access token for p. The caller has checked that audience is known.
func (d *Directory) sign(p principal, audience string, lifetime time.Duration) (token Secret, expires time.Time, err error) {
	return d.signToken(d.appClaims(p, audience, lifetime))
}

func (d *Directory) signToken(c claims) (token Secret, expires time.Time, err error) {
	text, err := signClaims(d.currentKeys(), c)
	if err != nil {
		return "", time.Time{}, err
	}
	return Secret(text), time.Unix(c.Expires, 0).UTC(), nil
}

func signClaims(ring *keyring, c any) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	signed, err := ring.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return text, nil
}

func newUniqueID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
