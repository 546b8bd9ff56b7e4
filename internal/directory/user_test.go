package directory

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/store"
)

const (
	cliID        = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	armScope     = "https://management.core.windows.net//.default offline_access openid profile"
	armAud       = "https://management.core.windows.net/"
	annsPassword = "Correct7horse"
)

// person makes a user whose password is password.
func (f *fixture) person(t testing.TB, name string) User {
	t.Helper()
	u, err := f.CreateUser(t.Context(), NewUser{UPN: name, Password: annsPassword})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// ask sends a form to the token endpoint for any tenant.
func (f *fixture) ask(t *testing.T, pairs ...string) (int, map[string]any, string) {
	t.Helper()
	form := url.Values{"client_id": {cliID}, "client_info": {"1"}, "scope": {armScope}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return f.do(t, f.LoginHandler(), post("/organizations/oauth2/v2.0/token", form))
}

func (f *fixture) askPassword(t *testing.T, upn, text string) (int, map[string]any, string) {
	t.Helper()
	return f.ask(t, "grant_type", "password", "username", upn, "password", text)
}

func errorCode(body map[string]any) float64 {
	codes, _ := body["error_codes"].([]any)
	if len(codes) != 1 {
		return 0
	}
	code, _ := codes[0].(float64)
	return code
}

func TestCreateUser(t *testing.T) {
	t.Parallel()
	f := open(t)
	u := f.person(t, "Ann")
	if want := (User{ObjectID: u.ObjectID, UPN: "Ann@kustos.onmicrosoft.com", DisplayName: "Ann"}); u != want {
		t.Errorf("%+v", u)
	}
	for _, id := range []string{u.ObjectID, "ann@KUSTOS.onmicrosoft.com"} {
		e, err := f.Lookup(t.Context(), id)
		if want := (Entry{Type: TypeUser, ObjectID: u.ObjectID, UPN: u.UPN, Name: "Ann"}); err != nil || e != want {
			t.Errorf("%s: %+v, %v", id, e, err)
		}
	}
	if _, err := f.CreateUser(t.Context(), NewUser{UPN: "ANN", Password: annsPassword}); !errors.Is(err, ErrUserExists) {
		t.Errorf("the same again: %v", err)
	}
	for name, n := range map[string]NewUser{
		"other domain":   {UPN: "bob@example.com", Password: annsPassword},
		"no name":        {UPN: "@kustos.onmicrosoft.com", Password: annsPassword},
		"odd name":       {UPN: "a/b", Password: annsPassword},
		"short password": {UPN: "bob", Password: "Abc123!"},
		"two kinds":      {UPN: "bob", Password: "abcdefg1"},
		"control":        {UPN: "bob", Password: "Correct7\x00horse"},
		"long password":  {UPN: "bob", Password: Secret(strings.Repeat("aB3", 100))},
	} {
		var wrong *UserError
		if _, err := f.CreateUser(t.Context(), n); !errors.As(err, &wrong) || strings.Contains(err.Error(), n.Password.Reveal()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Nothing that is stored or logged is the password.
	err := f.store.View(t.Context(), func(tx store.Tx) error {
		for e, err := range tx.Scan(bucketUsers, "", "") {
			if err != nil {
				return err
			}
			if strings.Contains(string(e.Value), annsPassword) {
				t.Error("the store holds a password")
			}
		}
		return nil
	})
	if err != nil || strings.Contains(f.log.String(), annsPassword) {
		t.Errorf("%v, or the log holds a password", err)
	}
}

func TestPasswordGrant(t *testing.T) {
	t.Parallel()
	f := open(t)
	u := f.person(t, "ann")
	status, body, text := f.askPassword(t, "ANN@kustos.onmicrosoft.com", annsPassword)
	if status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	access := body["access_token"].(string)
	p, err := f.Verify(t.Context(), access, armAud)
	if err != nil || p.ObjectID != u.ObjectID || p.AppID != "" || p.ClientAppID != cliID || p.UPN != u.UPN || !p.IsUser() {
		t.Errorf("%+v, %v", p, err)
	}
	now := float64(f.clock.at.Unix())
	_, got, _ := split(t, access)
	iss := "https://sts.windows.net/" + f.TenantID() + "/"
	want := map[string]any{"aud": armAud, "iss": iss, "idp": iss, "iat": now - 300, "nbf": now - 300, "exp": now + 3600, "app_displayname": "Microsoft Azure CLI", "appid": cliID, "appidacr": "0",
		"idtyp": "user", "oid": u.ObjectID, "sub": got["sub"], "tid": f.TenantID(), "uti": got["uti"], "ver": "1.0", "scp": "user_impersonation",
		"upn": u.UPN, "unique_name": u.UPN, "name": "ann", "amr": []any{"pwd"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("access token (-want +got)\n%s", diff)
	}
	_, id, _ := split(t, body["id_token"].(string))
	wantID := map[string]any{"aud": cliID, "iss": "https://login.microsoftonline.com/" + f.TenantID() + "/v2.0", "iat": now - 300, "nbf": now - 300, "exp": now + 3600, "name": "ann",
		"oid": u.ObjectID, "preferred_username": u.UPN, "sub": id["sub"], "tid": f.TenantID(), "uti": id["uti"], "ver": "2.0"}
	if diff := cmp.Diff(wantID, id); diff != "" {
		t.Errorf("id token (-want +got)\n%s", diff)
	}
	if _, err := f.Verify(t.Context(), body["id_token"].(string), cliID); err == nil {
		t.Error("an id token passes as an access token")
	}
	info, err := base64.RawURLEncoding.DecodeString(body["client_info"].(string))
	if err != nil || string(info) != `{"uid":"`+u.ObjectID+`","utid":"`+f.TenantID()+`"}` {
		t.Errorf("client_info %s, %v", info, err)
	}
	for _, name := range []string{"access_token", "id_token", "refresh_token", "client_info"} {
		if body[name] == "" {
			t.Errorf("no %s", name)
		}
		if s := body[name].(string); name != "client_info" && strings.Contains(f.log.String(), s) {
			t.Errorf("the log holds the %s", name)
		}
		delete(body, name)
	}
	wantBody := map[string]any{"token_type": "Bearer", "expires_in": 3599.0, "ext_expires_in": 3599.0, "foci": "1",
		"scope": armAud + "/user_impersonation " + armAud + "/.default"}
	if diff := cmp.Diff(wantBody, body); diff != "" {
		t.Errorf("answer (-want +got)\n%s", diff)
	}
	// Without openid and offline_access there is nothing but the access token.
	if _, body, _ := f.ask(t, "grant_type", "password", "username", u.UPN, "password", annsPassword, "scope", "https://vault.azure.net/.default", "client_info", "0"); body["refresh_token"] != nil || body["id_token"] != nil || body["foci"] != nil || body["client_info"] != nil {
		t.Errorf("%v", body)
	}
}

func TestPasswordLockout(t *testing.T) {
	t.Parallel()
	f := open(t)
	u := f.person(t, "ann")
	for i := range maxFailures {
		if _, body, text := f.askPassword(t, u.UPN, "wrong"); errorCode(body) != 50126 {
			t.Fatalf("try %d: %s", i, text)
		}
	}
	if _, body, text := f.askPassword(t, u.UPN, annsPassword); errorCode(body) != 50053 {
		t.Errorf("locked: %s", text)
	}
	f.clock.advance(lockout)
	if status, _, text := f.askPassword(t, u.UPN, annsPassword); status != 200 {
		t.Errorf("after the lockout: %s", text)
	}
}

func TestSecretsOfPeopleAreNotInErrors(t *testing.T) {
	t.Parallel()
	f := open(t)
	_, body, text := f.ask(t, "grant_type", "password", "username", "ann@kustos.onmicrosoft.com", "password", "hunter2hunter2")
	if data, err := json.Marshal(body); err != nil || strings.Contains(string(data)+text+f.log.String(), "hunter2") {
		t.Error("a password is in an answer or the log")
	}
}
