package directory

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestDeviceCode(t *testing.T) {
	t.Parallel()
	f := open(t)
	u := f.person(t, "ann")
	begin := func() (userCode, deviceCode string) {
		t.Helper()
		status, body, text := f.do(t, f.LoginHandler(), post("/organizations/oauth2/v2.0/devicecode", url.Values{"client_id": {cliID}, "scope": {armScope}}))
		if status != 200 || body["expires_in"] != 900.0 || body["interval"] != 5.0 || body["verification_uri"] != "https://login.microsoftonline.com/common/oauth2/deviceauth" ||
			!strings.Contains(fmt.Sprint(body["message"]), fmt.Sprint(body["user_code"])) {
			t.Fatalf("%d %s", status, text)
		}
		return body["user_code"].(string), body["device_code"].(string)
	}
	poll := func(code string, pairs ...string) (string, map[string]any) {
		t.Helper()
		_, body, _ := f.ask(t, append([]string{"grant_type", grantDevice, "device_code", code}, pairs...)...)
		text, _ := body["error"].(string)
		return text, body
	}

	userCode, code := begin()
	b := &browser{f: f}
	if got, _ := poll(code); got != "authorization_pending" {
		t.Errorf("first poll: %s", got)
	}
	f.clock.advance(deviceInterval)
	if got, _ := poll(code); got != "authorization_pending" {
		t.Errorf("second poll: %s", got)
	}
	f.clock.advance(time.Second)
	if got, _ := poll(code); got != "slow_down" {
		t.Errorf("fast poll: %s", got)
	}
	f.clock.advance(2 * deviceInterval)
	if got, _ := poll(code, "client_id", "1950a258-227b-4e31-a9cf-717495945fc2"); got != "bad_verification_code" {
		t.Errorf("poll of another client: %s", got)
	}

	_, html := b.get(t, "/common/oauth2/deviceauth")
	if _, page := b.submit(t, devicePath, html, "user_code", "WRONGCODE"); !strings.Contains(page, "does not wait for anybody") {
		t.Errorf("wrong code: %s", page)
	}
	_, signInPage := b.submit(t, devicePath, html, "user_code", strings.ToLower(userCode[:4]+"-"+userCode[4:]))
	if !strings.Contains(signInPage, "Microsoft Azure CLI") {
		t.Fatalf("no sign-in page: %s", signInPage)
	}
	_, again := b.submit(t, signInPath, signInPage, "username", u.UPN, "password", "wrong", "decision", "accept")
	if !strings.Contains(again, "invalid username or password") || strings.Contains(again, "wrong") {
		t.Errorf("wrong password: %s", again)
	}
	_, done := b.submit(t, signInPath, again, "username", u.UPN, "password", annsPassword, "decision", "accept")
	if !strings.Contains(done, "You have signed in") {
		t.Fatalf("not signed in: %s", done)
	}
	if r, _ := b.submit(t, signInPath, again, "username", u.UPN, "password", annsPassword, "decision", "accept"); r.StatusCode != 400 {
		t.Errorf("the same page again: %d", r.StatusCode)
	}
	f.clock.advance(2 * deviceInterval)
	problem, body := poll(code)
	if problem != "" {
		t.Fatalf("%v", body)
	}
	if p, err := f.Verify(t.Context(), body["access_token"].(string), armAud); err != nil || p.ObjectID != u.ObjectID || body["refresh_token"] == nil || body["id_token"] == nil {
		t.Errorf("%+v, %v", p, err)
	}
	if got, _ := poll(code); got != "bad_verification_code" {
		t.Errorf("poll after the end: %s", got)
	}

	userCode, code = begin()
	_, html = b.get(t, devicePath)
	_, signInPage = b.submit(t, devicePath, html, "user_code", userCode)
	if _, done := b.submit(t, signInPath, signInPage, "decision", "decline"); !strings.Contains(done, "You did not sign in") {
		t.Errorf("declined: %s", done)
	}
	if got, _ := poll(code); got != "authorization_declined" {
		t.Errorf("declined: %s", got)
	}

	userCode, code = begin()
	f.clock.advance(deviceLifetime)
	if got, _ := poll(code); got != "expired_token" {
		t.Errorf("expired: %s", got)
	}
	_, html = b.get(t, devicePath)
	if _, page := b.submit(t, devicePath, html, "user_code", userCode); !strings.Contains(page, "does not wait for anybody") {
		t.Error("an expired code still leads to a sign-in")
	}
	for _, secret := range []string{annsPassword, code, userCode} {
		if strings.Contains(f.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}
