package vault

import (
	"testing/synctest"

	"context"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/store"
)

func (f *fixture) count(bucket string) (n int) {
	f.Helper()
	if err := f.store.View(f.Context(), func(tx store.Tx) error {
		for _, err := range tx.Scan(bucket, "", "") {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	}); err != nil {
		f.Fatal(err)
	}
	return n
}

// TestNothingPrivateLeaks looks for secret values and private members in the
// log and in every answer but the one that shows a secret.
func TestNothingPrivateLeaks(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	const value, private = "the-secret-value", "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"
	var answers strings.Builder
	note := func(a answer) { answers.WriteString(a.text) }
	note(f.do("PUT", "kv1", "/keys/k", `{"key":`+testECJWK+`}`))
	note(f.do("PUT", "kv1", "/keys/bad", `{"key":`+strings.Replace(testECJWK, private, private[:20], 1)+`}`))
	note(f.do("PUT", "kv1", "/keys/bad", `{"key":{"kty":"EC","d":"`+private+`",}`))
	note(f.do("PUT", "kv1", "/secrets/s", `{"value":"`+value+`","tags":5}`))
	f.do("PUT", "kv1", "/secrets/s", `{"value":"`+value+`"}`)
	for _, p := range []string{"/secrets", "/secrets/s/versions", "/keys/k", "/keys"} {
		note(f.do("GET", "kv1", p, nil))
	}
	note(f.do("PATCH", "kv1", "/secrets/s/", `{"contentType":"x"}`))
	note(f.do("DELETE", "kv1", "/secrets/s", nil))
	note(f.do("GET", "kv1", "/deletedsecrets/s", nil))
	note(f.do("POST", "kv1", "/deletedsecrets/s/recover", nil))
	for _, where := range []string{answers.String(), f.log.String()} {
		if strings.Contains(where, value) || strings.Contains(where, private) || strings.Contains(where, private[:20]) {
			t.Errorf("leaked: %s", where)
		}
	}
}

func TestKeyCache(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	f.must("POST", "kv1", "/keys/k/create", `{"kty":"EC"}`)
	digest := text64(make([]byte, 32))
	sign := func() answer { return f.do("POST", "kv1", "/keys/k/sign", `{"alg":"ES256","value":"`+digest+`"}`) }
	sign()
	sign()
	if f.keys.len() != 1 {
		t.Errorf("%d keys cached", f.keys.len())
	}
	f.must("PATCH", "kv1", "/keys/k/", `{"attributes":{"enabled":false}}`)
	if f.keys.len() != 0 {
		t.Error("a disabled key stays in memory")
	}
	sign().is(t, 403, "Forbidden", "KeyDisabled")
	f.must("PATCH", "kv1", "/keys/k/", `{"attributes":{"enabled":true}}`)
	sign()
	f.must("DELETE", "kv1", "/keys/k", nil)
	if f.keys.len() != 0 {
		t.Error("a deleted key stays in memory")
	}

	c := newKeyCache(2)
	_, g := c.get("a")
	c.drop("x")
	c.put("a", nil, g)
	if c.len() != 0 {
		t.Error("a load from before a drop was kept")
	}
	_, g = c.get("a")
	for _, p := range []string{"a", "b", "c", "c"} {
		c.put(p, nil, g)
	}
	if c.len() != 2 {
		t.Errorf("%d keys in a cache of 2", c.len())
	}
}

func TestRunSweepsUntilTheContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.Now = time.Now
		f.vault("kv1", func(in *Input) { in.RetentionDays = ptr(7) })
		f.must("POST", "kv1", "/keys/k/create", `{"kty":"EC"}`)
		f.must("DELETE", "kv1", "/keys/k", nil)
		ctx, cancel := context.WithTimeout(t.Context(), 7*24*time.Hour+2*time.Minute)
		defer cancel()
		f.Service.Run(ctx)
		if n := f.count("vault.keymaterial"); n != 0 {
			t.Errorf("%d keys left", n)
		}
	})
}
