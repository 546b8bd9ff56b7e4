package directory

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGraphUsers(t *testing.T) {
	t.Parallel()
	f := openGraph(t)
	body := `{"userPrincipalName":"ann@kustos.onmicrosoft.com","displayName":"Ann","passwordProfile":{"password":"` + annsPassword + `","forceChangePasswordNextSignIn":false},"mailNickname":"ann","accountEnabled":true}`
	status, ann, text := f.graphCall(t, "POST", "/v1.0/users", body)
	if status != 201 {
		t.Fatal(text)
	}
	id := ann["id"].(string)
	want := map[string]any{"@odata.context": graphContext + "users/$entity", "businessPhones": []any{}, "displayName": "Ann", "givenName": nil, "jobTitle": nil, "mail": nil,
		"mobilePhone": nil, "officeLocation": nil, "preferredLanguage": nil, "surname": nil, "userPrincipalName": "ann@kustos.onmicrosoft.com", "id": id}
	if diff := cmp.Diff(want, ann); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if status, _, text := f.graphCall(t, "POST", "/v1.0/users", body); status != 400 || !strings.Contains(text, "already exists") {
		t.Errorf("again: %d %s", status, text)
	}
	for _, path := range []string{"/v1.0/users/" + id, "/v1.0/users/ANN@kustos.onmicrosoft.com", "/v1.0/users('ann@kustos.onmicrosoft.com')"} {
		if status, got, text := f.graphCall(t, "GET", path, ""); status != 200 || got["id"] != id {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	for _, filter := range []string{"userPrincipalName eq 'ann@kustos.onmicrosoft.com'", "startswith(displayName,'An')", "accountEnabled eq true and displayName eq 'Ann'", "mailNickname eq 'ann' or givenName eq 'x'"} {
		if status, got, text := f.graphCall(t, "GET", query("/v1.0/users", filter), ""); status != 200 || len(values(t, got)) != 1 {
			t.Errorf("%s: %d %s", filter, status, text)
		}
	}
	if _, got, text := f.graphCall(t, "GET", "/v1.0/users/"+id+"?$select=accountEnabled,userType,mailNickname", ""); got["accountEnabled"] != true || got["userType"] != "Member" || got["displayName"] != nil {
		t.Error(text)
	}

	token := func() string {
		_, body, _ := f.ask(t, "grant_type", "password", "username", "ann@kustos.onmicrosoft.com", "password", annsPassword, "scope", "https://graph.microsoft.com//.default")
		text, _ := body["access_token"].(string)
		return text
	}
	me := token()
	if status, got, text := f.graphAs(t, me, "GET", "/v1.0/me", ""); status != 200 || got["id"] != id {
		t.Errorf("me: %d %s", status, text)
	}
	for _, path := range []string{"/v1.0/users/" + id, "/v1.0/me/memberOf", "/v1.0/me/ownedObjects", "/v1.0/users/ann@kustos.onmicrosoft.com/memberOf"} {
		if status, _, text := f.graphAs(t, me, "GET", path, ""); status != 200 {
			t.Errorf("%s of herself: %d %s", path, status, text)
		}
	}
	for _, c := range [][3]string{{"GET", "/v1.0/users", ""}, {"GET", "/v1.0/users/" + f.boot.ObjectID, ""}, {"PATCH", "/v1.0/me", `{"accountEnabled":true}`}, {"DELETE", "/v1.0/me", ""}, {"GET", "/v1.0/groups", ""}, {"GET", "/v1.0/applications", ""}} {
		if status, _, text := f.graphAs(t, me, c[0], c[1], c[2]); status != 403 {
			t.Errorf("%v by a person without rights: %d %s", c, status, text)
		}
	}
	if status, _, text := f.graphAs(t, me, "POST", "/v1.0/me/changePassword", `{"currentPassword":"wrong","newPassword":"Another8horse"}`); status != 400 {
		t.Errorf("%d %s", status, text)
	}
	if status, _, text := f.graphAs(t, me, "POST", "/v1.0/me/changePassword", `{"currentPassword":"`+annsPassword+`","newPassword":"Another8horse"}`); status != 204 {
		t.Errorf("%d %s", status, text)
	}
	if token() != "" {
		t.Error("the old password still works")
	}
	if status, _, _ := f.graphCall(t, "DELETE", "/v1.0/users/"+id, ""); status != 204 {
		t.Error(status)
	}
	if _, err := f.Lookup(t.Context(), "ann@kustos.onmicrosoft.com"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	for _, s := range []string{annsPassword, "Another8horse"} {
		if strings.Contains(f.log.String(), s) {
			t.Error("the log holds a password")
		}
	}
}
