package directory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const (
	// refreshLifetime is how long a session lasts without being used.
	refreshLifetime = 90 * 24 * time.Hour
	// refreshGrace is how long a used refresh token still works: clients with
	// one cache in several processes use it at the same time. After that, its
	// use means that somebody has a copy.
	refreshGrace = time.Minute
)

// refreshToken is what is kept of one; its key is the hash of its text, 32
// random bytes.
type refreshToken struct {
	UserID   string `json:"userId"`
	ClientID string `json:"clientId"`
	// Chain is shared by all tokens that one sign-in led to.
	Chain   string    `json:"chain"`
	Began   time.Time `json:"began"`
	Expires time.Time `json:"expires"`
	Used    time.Time `json:"used,omitzero"`
	// Proved says that the client showed a proof of its own; it must again.
	Proved bool `json:"proved,omitempty"`
}

func refreshKey(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func (d *Directory) newRefreshToken(tx store.Tx, s session) (Secret, error) {
	text := newSecret()
	r := refreshToken{UserID: s.user.ObjectID, ClientID: s.client.appID, Chain: s.chain, Began: s.began, Expires: d.now().UTC().Add(refreshLifetime), Proved: s.client.method != provedByNothing}
	if r.Chain == "" {
		r.Chain = ids.NewGUID()
	}
	return text, store.PutJSON(tx, bucketSessions, refreshKey(text.Reveal()), r)
}

// refreshGrant serves grant_type=refresh_token: every use gives a new token
// and ends the old one.
func (d *Directory) refreshGrant(w http.ResponseWriter, r *http.Request, form tokenForm) error {
	text, err := form.need("refresh_token")
	if err != nil {
		return err
	}
	s := session{}
	if s.scope, err = parseUserScope(form.get("scope")); err != nil {
		return err
	}
	err = d.store.View(r.Context(), func(tx store.Tx) error {
		if s.client, err = d.clientOf(tx, form); err != nil {
			return err
		}
		return d.admitAudience(tx, s.scope.resource)
	})
	if err == nil {
		err = d.remember(r.Context(), s.client.assertion)
	}
	if err != nil {
		return err
	}
	var (
		next    Secret
		refusal error // kept beside the transaction, which must end a stolen chain
	)
	err = d.store.Update(r.Context(), func(tx store.Tx) error {
		next, refusal = "", nil
		old, err := d.usableRefreshToken(tx, text, &s)
		var refused *signInError
		if errors.As(err, &refused) {
			refusal = err
			return nil
		}
		if err != nil {
			return err
		}
		if old.Used.IsZero() {
			old.Used = d.now().UTC()
			if err := store.PutJSON(tx, bucketSessions, refreshKey(text), old); err != nil {
				return err
			}
		}
		next, err = d.newRefreshToken(tx, s)
		return err
	})
	if err == nil {
		err = refusal
	}
	if err != nil {
		return fmt.Errorf("refresh: %w", err)
	}
	return d.answerUser(r.Context(), w, form, s, next)
}

// usableRefreshToken checks a refresh token and completes s from it.
func (d *Directory) usableRefreshToken(tx store.Tx, text string, s *session) (refreshToken, error) {
	now := d.now()
	r, err := read[refreshToken](tx, bucketSessions, refreshKey(text))
	switch {
	case errors.Is(err, ErrNotFound):
		return r, errRefreshUnknown()
	case err != nil:
		return r, err
	case !now.Before(r.Expires):
		return r, errRefreshExpired()
	}
	if !strings.EqualFold(r.ClientID, s.client.appID) && !(s.client.family && isFamily(r.ClientID)) {
		return r, errRefreshClient()
	}
	if r.Proved && s.client.method == provedByNothing {
		return r, errClientProofMissing()
	}
	if !r.Used.IsZero() && now.After(r.Used.Add(refreshGrace)) {
		if err := endChain(tx, r.Chain); err != nil {
			return r, err
		}
		d.log.Warn("a refresh token was used again: its session is ended", "principal", r.UserID, "client", r.ClientID)
		return r, errRefreshRevoked()
	}
	if s.user, err = read[user](tx, bucketUsers, r.UserID); errors.Is(err, ErrNotFound) {
		return r, errRefreshRevoked()
	} else if err != nil {
		return r, err
	}
	switch {
	case s.user.Disabled:
		return r, errUserDisabled()
	case r.Began.Before(s.user.ValidFrom):
		return r, errRefreshRevoked()
	}
	s.began, s.chain = r.Began, r.Chain
	return r, nil
}

func isFamily(clientID string) bool {
	for _, c := range knownClients() {
		if strings.EqualFold(c.appID, clientID) {
			return c.family
		}
	}
	return false
}

// endChain deletes every refresh token of a sign-in.
func endChain(tx store.Tx, chain string) error {
	var gone []string
	for e, err := range tx.Scan(bucketSessions, "", "") {
		if err != nil {
			return err
		}
		var r refreshToken
		if err := json.Unmarshal(e.Value, &r); err != nil {
			return fmt.Errorf("decode %s/%s: %w", bucketSessions, e.Key, err)
		}
		if r.Chain == chain {
			gone = append(gone, e.Key)
		}
	}
	for _, k := range gone {
		if err := tx.Delete(bucketSessions, k); err != nil {
			return err
		}
	}
	return nil
}

// forgetSessions removes refresh tokens that are over.
func (d *Directory) forgetSessions(ctx context.Context) error {
	return d.forget(ctx, bucketSessions, func(value []byte) (bool, error) {
		var r refreshToken
		err := json.Unmarshal(value, &r)
		return !d.now().Before(r.Expires), err
	})
}
