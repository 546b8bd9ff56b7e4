package vault

import (
	"strings"
	"testing"
)

func TestSecrets(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	a := f.must("PUT", "kv1", "/secrets/S/?api-version=7.4", `{"value":"one","contentType":"text/plain","tags":{"x":"1"}}`)
	b := f.must("PUT", "kv1", "/secrets/s", `{"value":""}`)
	version := a.str("id")[strings.LastIndexByte(a.str("id"), '/')+1:]
	if !strings.HasPrefix(a.str("id"), "https://kv1.vault.azure.net/secrets/S/") || a.str("value") != "one" || len(version) != 32 {
		t.Errorf("set: %s", a.text)
	}
	if got := f.must("GET", "kv1", "/secrets/s/", nil); got.text != b.text || got.at("value") != "" {
		t.Errorf("newest: %s", got.text)
	}
	if got := f.must("GET", "kv1", "/secrets/s/"+version, nil); got.text != a.text {
		t.Errorf("version: %s", got.text)
	}
	for _, path := range []string{"/secrets", "/secrets/s/versions"} {
		items := f.must("GET", "kv1", path, nil).at("value").([]any)
		if _, shown := items[0].(map[string]any)["value"]; shown || items[0].(map[string]any)["id"] == "" {
			t.Errorf("%s: %v", path, items)
		}
	}
	f.do("GET", "kv1", "/secrets/none", nil).is(t, 404, "SecretNotFound", "")
	f.do("PUT", "kv1", "/secrets/s", `{}`).is(t, 400, "BadParameter", "")
	f.do("PUT", "kv1", "/secrets/s", map[string]string{"value": strings.Repeat("x", 25<<10+1)}).is(t, 400, "BadParameter", "")
	u := f.must("PATCH", "kv1", "/secrets/s/"+version, `{"contentType":"b","attributes":{"exp":1999999999}}`)
	if u.at("value") != nil || u.str("contentType") != "b" || u.str("tags", "x") != "1" {
		t.Errorf("update: %s", u.text)
	}
	d := f.must("PUT", "kv1", "/secrets/off", `{"value":"x","attributes":{"enabled":false}}`)
	if d.str("value") != "x" {
		t.Errorf("set disabled: %s", d.text)
	}
	f.do("GET", "kv1", "/secrets/off", nil).is(t, 403, "Forbidden", "SecretDisabled")

	gone := f.must("DELETE", "kv1", "/secrets/s", nil)
	if gone.str("recoveryId") != "https://kv1.vault.azure.net/deletedsecrets/S" || gone.at("value") != nil {
		t.Errorf("deleted: %s", gone.text)
	}
	f.do("PUT", "kv1", "/secrets/s", `{"value":"x"}`).is(t, 409, "Conflict", "ObjectIsDeletedButRecoverable")
	f.must("GET", "kv1", "/deletedsecrets", nil)
	f.must("POST", "kv1", "/deletedsecrets/s/recover", nil)
	if got := f.must("GET", "kv1", "/secrets/s/"+version, nil).str("value"); got != "one" {
		t.Errorf("recovered: %q", got)
	}
	blob := f.must("POST", "kv1", "/secrets/s/backup", nil).str("value")
	f.must("DELETE", "kv1", "/secrets/s", nil)
	if a := f.do("DELETE", "kv1", "/deletedsecrets/s", nil); a.status != 204 {
		t.Errorf("purge: %s", a.text)
	}
	f.must("POST", "kv1", "/secrets/restore", map[string]string{"value": blob})
	if got := f.must("GET", "kv1", "/secrets/s/"+version, nil).str("value"); got != "one" {
		t.Errorf("restored: %q", got)
	}
}
