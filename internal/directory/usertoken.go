package directory

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wire"
)

const (
	userTokenLifetime = time.Hour
	// maxGroupClaims is how many groups Entra writes into a token.
	maxGroupClaims = 200
)

// userTokens is the answer to a client that speaks for a person.
type userTokens struct {
	TokenType    string `json:"token_type"`
	Scope        string `json:"scope"`
	ExpiresIn    int64  `json:"expires_in"`
	ExtExpiresIn int64  `json:"ext_expires_in"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Family       string `json:"foci,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	ClientInfo   string `json:"client_info,omitempty"`
}

// idClaims are those of a v2.0 id_token.
type idClaims struct {
	Audience      string `json:"aud"`
	Issuer        string `json:"iss"`
	IssuedAt      int64  `json:"iat"`
	NotBefore     int64  `json:"nbf"`
	Expires       int64  `json:"exp"`
	Name          string `json:"name"`
	Nonce         string `json:"nonce,omitempty"`
	ObjectID      string `json:"oid"`
	PreferredName string `json:"preferred_username"`
	Subject       string `json:"sub"`
	TenantID      string `json:"tid"`
	UniqueID      string `json:"uti"`
	Version       string `json:"ver"`
}

// session is a person signed in through a client.
type session struct {
	user   user
	client signInClient
	scope  userScope
	nonce  string
	// began is when the person gave the password.
	began time.Time
	// chain is the chain of refresh tokens this goes on with; "" begins one.
	chain string
}

// pairwise is a person's name for one application, another for each.
func (d *Directory) pairwise(objectID, appID string) string {
	sum := sha256.Sum256([]byte(d.tenantID + "\x00" + objectID + "\x00" + key(appID)))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (d *Directory) userClaims(s session) claims {
	now, u := d.now(), s.user
	c := claims{
		Audience: s.scope.resource, Issuer: issuer(d.tenantID), IssuedAt: now.Add(-clockSkew).Unix(), NotBefore: now.Add(-clockSkew).Unix(), Expires: now.Add(userTokenLifetime).Unix(),
		AppDisplayName: s.client.name, AppID: s.client.appID, AppIDAuth: s.client.method, IdentityProvider: issuer(d.tenantID), IdentityType: identityTypeUser,
		ObjectID: u.ObjectID, Subject: d.pairwise(u.ObjectID, s.scope.resource), TenantID: d.tenantID, UniqueID: newUniqueID(), Version: "1.0",
		Scope: s.scope.claim(), UPN: u.UPN, UniqueName: u.UPN, Name: u.DisplayName, GivenName: u.GivenName, FamilyName: u.Surname, Methods: []string{"pwd"},
	}
	if c.Groups = d.GroupsOf(u.ObjectID); len(c.Groups) > maxGroupClaims {
		c.Groups = nil
		c.ClaimNames = map[string]string{"groups": "src1"}
		c.ClaimSources = map[string]map[string]string{"src1": {"endpoint": "https://graph.microsoft.com/v1.0/users/" + u.ObjectID + "/getMemberObjects"}}
	}
	return c
}

// answerUser signs the tokens of a session and writes them.
func (d *Directory) answerUser(ctx context.Context, w http.ResponseWriter, form tokenForm, s session, refresh Secret) error {
	access, expires, err := d.signToken(d.userClaims(s))
	if err != nil {
		return fmt.Errorf("token of user: %w", err)
	}
	left := d.secondsLeft(expires)
	out := userTokens{TokenType: "Bearer", Scope: s.scope.granted(), ExpiresIn: left, ExtExpiresIn: left, AccessToken: access.Reveal(), RefreshToken: refresh.Reveal()}
	if s.client.family && refresh != "" {
		out.Family = "1"
	}
	if s.scope.openID {
		now := d.now()
		id := idClaims{Audience: s.client.appID, Issuer: issuer2(d.tenantID), IssuedAt: now.Add(-clockSkew).Unix(), NotBefore: now.Add(-clockSkew).Unix(), Expires: expires.Unix(),
			Name: s.user.DisplayName, Nonce: s.nonce, ObjectID: s.user.ObjectID, PreferredName: s.user.UPN, Subject: d.pairwise(s.user.ObjectID, s.client.appID),
			TenantID: d.tenantID, UniqueID: newUniqueID(), Version: "2.0"}
		if out.IDToken, err = signClaims(d.currentKeys(), id); err != nil {
			return fmt.Errorf("id token of user: %w", err)
		}
	}
	if form.get("client_info") == "1" {
		info, err := json.Marshal(struct {
			UID  string `json:"uid"`
			UTID string `json:"utid"`
		}{s.user.ObjectID, d.tenantID})
		if err != nil {
			return err
		}
		out.ClientInfo = base64.RawURLEncoding.EncodeToString(info)
	}
	d.log.InfoContext(ctx, "token issued", "principal", s.user.ObjectID, "client", s.client.appID, "audience", s.scope.resource)
	wire.WriteJSON(w, http.StatusOK, out)
	return nil
}

// begin answers a new session, with the first of its refresh tokens when the
// client asked to stay.
func (d *Directory) begin(ctx context.Context, w http.ResponseWriter, form tokenForm, s session) error {
	if err := d.remember(ctx, s.client.assertion); err != nil {
		return err
	}
	var refresh Secret
	if s.scope.offline {
		err := d.store.Update(ctx, func(tx store.Tx) (err error) {
			refresh, err = d.newRefreshToken(tx, s)
			return err
		})
		if err != nil {
			return fmt.Errorf("begin session: %w", err)
		}
	}
	return d.answerUser(ctx, w, form, s, refresh)
}

// passwordToken serves grant_type=password.
func (d *Directory) passwordToken(w http.ResponseWriter, r *http.Request, form tokenForm) error {
	upn, err := form.need("username")
	if err != nil {
		return err
	}
	password, err := form.need("password")
	if err != nil {
		return err
	}
	s := session{began: d.now().UTC()}
	if s.scope, err = parseUserScope(form.get("scope")); err != nil {
		return err
	}
	err = d.store.View(r.Context(), func(tx store.Tx) error {
		s.client, err = d.clientFor(tx, form, s.scope.resource)
		return err
	})
	if err != nil {
		return err
	}
	if s.user, err = d.checkPassword(r.Context(), upn, Secret(password)); err != nil {
		return err
	}
	return d.begin(r.Context(), w, form, s)
}
