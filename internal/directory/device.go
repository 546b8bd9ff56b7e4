package directory

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wire"
)

const (
	deviceLifetime = 15 * time.Minute
	deviceInterval = 5 * time.Second
	// userCodeLetters leave out what people take for something else; nine of
	// them have 44 bits, which nobody tries through within deviceLifetime.
	userCodeLetters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	userCodeLength  = 9
	// devicePath is where a person types the code.
	devicePath = "/common/oauth2/deviceauth"
)

// deviceFlow is a client that waits for a person with a browser. Its fields
// are guarded by signIns.mu.
type deviceFlow struct {
	userCode string
	client   signInClient
	scope    userScope
	expires  time.Time
	interval time.Duration
	asked    time.Time // the last poll
	user     *user     // who approved
	began    time.Time
	declined bool
}

type deviceAnswer struct {
	UserCode        string `json:"user_code"`
	DeviceCode      string `json:"device_code"`
	VerificationURI string `json:"verification_uri"`
	ExpiresIn       int64  `json:"expires_in"`
	Interval        int64  `json:"interval"`
	Message         string `json:"message"`
}

// deviceCode begins a device flow.
func (d *Directory) deviceCode(w http.ResponseWriter, r *http.Request, tenant string) error {
	form, err := d.readForm(r, tenant)
	if err != nil {
		return err
	}
	f := &deviceFlow{userCode: newUserCode(), interval: deviceInterval, expires: d.now().Add(deviceLifetime)}
	if f.scope, err = parseUserScope(form.get("scope")); err != nil {
		return err
	}
	err = d.store.View(r.Context(), func(tx store.Tx) error {
		f.client, err = d.clientFor(tx, form, f.scope.resource)
		return err
	})
	if err == nil {
		err = d.remember(r.Context(), f.client.assertion)
	}
	if err != nil {
		return err
	}
	code := newSecret()
	if !d.signIns.addDevice(refreshKey(code.Reveal()), f, d.now()) {
		return errBusy()
	}
	uri := "https://" + loginHost + devicePath
	wire.WriteJSON(w, http.StatusOK, deviceAnswer{UserCode: f.userCode, DeviceCode: code.Reveal(), VerificationURI: uri, ExpiresIn: int64(deviceLifetime / time.Second),
		Interval: int64(deviceInterval / time.Second),
		Message:  fmt.Sprintf("To sign in, use a web browser that goes through this server's proxy to open the page %s (in Azure: https://microsoft.com/devicelogin) and enter the code %s to authenticate.", uri, f.userCode)})
	return nil
}

func newUserCode() string {
	b := make([]byte, userCodeLength)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = userCodeLetters[int(b[i])%len(userCodeLetters)] // 32 letters: no bias
	}
	return string(b)
}

func (s *signIns) addDevice(key string, f *deviceFlow, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.devices) >= maxFlows {
		s.sweepLocked(now)
	}
	if len(s.devices) >= maxFlows {
		return false
	}
	s.devices[key] = f
	return true
}

// deviceByUserCode finds a flow that waits for a person.
func (s *signIns) deviceByUserCode(code string, now time.Time) *deviceFlow {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.devices {
		if f.userCode == code && now.Before(f.expires) && f.user == nil && !f.declined {
			return f
		}
	}
	return nil
}

// decide ends a person's part of a flow; false when it was ended already.
func (s *signIns) decide(f *deviceFlow, who *user, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.user != nil || f.declined || !now.Before(f.expires) {
		return false
	}
	f.user, f.declined, f.began = who, who == nil, now.UTC()
	return true
}

// poll answers a client that waits: the session, or why not yet. A session is
// given out once.
func (s *signIns) poll(key string, clientID string, now time.Time) (session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.devices[key]
	switch {
	case f == nil || f.client.appID != clientID:
		return session{}, errDeviceUnknown()
	case f.declined:
		delete(s.devices, key)
		return session{}, errDeviceDeclined()
	case !now.Before(f.expires):
		return session{}, errDeviceExpired()
	}
	early := !f.asked.IsZero() && now.Before(f.asked.Add(f.interval-time.Second))
	f.asked = now
	if early {
		f.interval += deviceInterval
		return session{}, errSlowDown()
	}
	if f.user == nil {
		return session{}, errDevicePending()
	}
	delete(s.devices, key)
	return session{user: *f.user, client: f.client, scope: f.scope, began: f.began}, nil
}

// deviceToken serves the polling of a device flow.
func (d *Directory) deviceToken(w http.ResponseWriter, r *http.Request, form tokenForm) error {
	code, err := form.need("device_code")
	if err != nil {
		return err
	}
	var client signInClient
	err = d.store.View(r.Context(), func(tx store.Tx) error {
		if client, err = d.clientOf(tx, form); err != nil {
			return err
		}
		return client.proved()
	})
	if err == nil {
		err = d.remember(r.Context(), client.assertion)
	}
	if err != nil {
		return err
	}
	s, err := d.signIns.poll(refreshKey(code), client.appID, d.now())
	if err != nil {
		return err
	}
	if s.user, err = d.stillAdmitted(r, s); err != nil {
		return err
	}
	s.client = client
	s.client.assertion = nil
	return d.begin(r.Context(), w, form, s)
}

// stillAdmitted reads the person of a session again: much can happen between
// the browser and the client.
func (d *Directory) stillAdmitted(r *http.Request, s session) (u user, err error) {
	err = d.store.View(r.Context(), func(tx store.Tx) error {
		u, err = read[user](tx, bucketUsers, s.user.ObjectID)
		return err
	})
	switch {
	case err != nil:
		return user{}, errGrantRevoked()
	case u.Disabled:
		return user{}, errUserDisabled()
	case s.began.Before(u.ValidFrom):
		return user{}, errGrantRevoked()
	}
	return u, nil
}
