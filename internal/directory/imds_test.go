package directory

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIMDS(t *testing.T) {
	t.Parallel()
	f := open(t)
	system := f.identity(t, "c1", clusterID)
	user := f.identity(t, "id1", identityID)
	other := f.identity(t, "id2", identityID+"2")
	secret := user.Secret.Reveal()
	const path = "/metadata/identity/oauth2/token"
	good := "api-version=2018-02-01&resource=https://vault.azure.net"

	type request struct {
		user, secret string
		query        string
		path         string
		method       string
		noHeader     bool
	}
	call := func(t *testing.T, q request) (int, map[string]any) {
		t.Helper()
		if q.path == "" {
			q.path = path
		}
		if q.method == "" {
			q.method = "GET"
		}
		r := httptest.NewRequest(q.method, "http://169.254.169.254"+q.path+"?"+q.query, nil)
		if !q.noHeader {
			r.Header.Set("Metadata", "true")
		}
		if q.user != "" || q.secret != "" {
			r = r.WithContext(WithProxyUser(r.Context(), q.user, q.secret))
		}
		status, body, _ := f.do(t, f.IMDSHandler(), r)
		return status, body
	}

	for name, q := range map[string]request{
		"client id":            {user.ClientID, secret, good, "", "", false},
		"object id":            {strings.ToUpper(user.ObjectID), secret, good, "", "", false},
		"resource id":          {strings.ToUpper(identityID), secret, good, "", "", false},
		"final slash":          {user.ClientID, secret, good, path + "/", "", false},
		"newer version":        {user.ClientID, secret, "api-version=2023-11-15&resource=https://vault.azure.net", "", "", false},
		"selected by client":   {user.ClientID, secret, good + "&client_id=" + user.ClientID, "", "", false},
		"selected by object":   {user.ClientID, secret, good + "&object_id=" + user.ObjectID, "", "", false},
		"selected by resource": {user.ClientID, secret, good + "&msi_res_id=" + url.QueryEscape(identityID), "", "", false},
	} {
		status, body := call(t, q)
		if status != 200 {
			t.Errorf("%s: %d %v", name, status, body)
			continue
		}
		token := body["access_token"].(string)
		p, err := f.Verify(t.Context(), token, vaultAudience)
		if err != nil || p.ObjectID != user.ObjectID || p.Identity != identityID {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
		if _, c, _ := split(t, token); c["xms_mirid"] != identityID || c["appidacr"] != "2" || c["tid"] != f.TenantID() {
			t.Errorf("%s: claims %v", name, c)
		}
		delete(body, "access_token")
		want := map[string]any{"client_id": user.ClientID, "expires_in": "86400", "ext_expires_in": "86400", "expires_on": "1905330600", "not_before": "1905243900",
			"resource": vaultAudience, "token_type": "Bearer"}
		if diff := cmp.Diff(want, body); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}

	for name, tc := range map[string]struct {
		request
		status      int
		code, words string
	}{
		"no proxy user":           {request{query: good}, 400, "invalid_request", "Identity not found"},
		"wrong secret":            {request{user: user.ClientID, secret: "x", query: good}, 400, "invalid_request", "Identity not found"},
		"no secret":               {request{user: user.ClientID, query: good}, 400, "invalid_request", "Identity not found"},
		"secret of another":       {request{user: user.ClientID, secret: other.Secret.Reveal(), query: good}, 400, "invalid_request", "Identity not found"},
		"unknown user":            {request{user: "nobody", secret: secret, query: good}, 400, "invalid_request", "Identity not found"},
		"system identity":         {request{user: system.ClientID, secret: "x", query: good}, 400, "invalid_request", "Identity not found"},
		"system, empty secret":    {request{user: system.ObjectID, query: good}, 400, "invalid_request", "Identity not found"},
		"system by resource":      {request{user: clusterID, secret: secret, query: good}, 400, "invalid_request", "Identity not found"},
		"system by selector":      {request{user: user.ClientID, secret: secret, query: good + "&client_id=" + system.ClientID}, 400, "invalid_request", "Identity not found"},
		"another by selector":     {request{user: user.ClientID, secret: secret, query: good + "&object_id=" + other.ObjectID}, 400, "invalid_request", "Identity not found"},
		"selector that is empty":  {request{user: user.ClientID, secret: secret, query: good + "&client_id="}, 400, "invalid_request", "Identity not found"},
		"application":             {request{user: f.boot.ClientID, secret: f.boot.ClientSecret.Reveal(), query: good}, 400, "invalid_request", "Identity not found"},
		"no Metadata header":      {request{user: user.ClientID, secret: secret, query: good, noHeader: true}, 400, "invalid_request", "metadata header"},
		"no version":              {request{user: user.ClientID, secret: secret, query: "resource=https://vault.azure.net"}, 400, "invalid_request", "api-version"},
		"old version":             {request{user: user.ClientID, secret: secret, query: "api-version=2017-04-02&resource=https://vault.azure.net"}, 400, "invalid_request", "2017-04-02"},
		"version that is no date": {request{user: user.ClientID, secret: secret, query: "api-version=newest&resource=https://vault.azure.net"}, 400, "invalid_request", "newest"},
		"no resource":             {request{user: user.ClientID, secret: secret, query: "api-version=2018-02-01"}, 400, "invalid_request", "resource"},
		"foreign resource":        {request{user: user.ClientID, secret: secret, query: "api-version=2018-02-01&resource=https://example.com"}, 400, "invalid_resource", "AADSTS500011"},
		"post":                    {request{user: user.ClientID, secret: secret, query: good, method: "POST"}, 405, "method_not_allowed", "GET"},
		"instance document":       {request{user: user.ClientID, secret: secret, query: good, path: "/metadata/instance"}, 404, "not_found", "identity/oauth2/token"},
	} {
		status, body := call(t, tc.request)
		description, _ := body["error_description"].(string)
		if status != tc.status || body["error"] != tc.code || !strings.Contains(description, tc.words) || body["access_token"] != nil {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
	for _, s := range []string{secret, other.Secret.Reveal()} {
		if strings.Contains(f.log.String(), s) {
			t.Error("the log holds an identity's secret")
		}
	}
}
