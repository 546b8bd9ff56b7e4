package faults_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/faults"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

const kid = "https://v.vault.azure.net/keys/k/11111111111111111111111111111111"

// vault answers every request and remembers the last one's token.
func vault(token *string) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		*token = r.Header.Get("Authorization")
		w := httptest.NewRecorder()
		_, _ = w.WriteString(`{"kid":"` + kid + `","value":"x"}`)
		return w.Result(), nil
	}
}

type signer struct{ at time.Time }

func (s *signer) IdentityTokenAt(_ context.Context, object, resource string, at time.Time) (string, error) {
	s.at = at
	return "signed for " + object, nil
}

func request(t *testing.T, ctx context.Context) *http.Request {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://v.vault.azure.net/keys/k/1/unwrapkey?api-version=7.4", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer a."+base64.RawURLEncoding.EncodeToString([]byte(`{"oid":"principal"}`))+".b")
	return r
}

func TestKindsOnTheKeyPath(t *testing.T) {
	t.Parallel()
	for _, kind := range []faults.Kind{"", faults.Throttled, faults.ServerError, faults.Timeout, faults.Slow, faults.WrongVersion, faults.ExpiredToken, faults.ClockSkew, faults.TLSFailure} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var token string
				s := &signer{}
				i := faults.New(faults.Config{})
				rt := i.Transport(vault(&token), s)
				if kind != "" {
					if _, err := i.Add(faults.Rule{Kind: kind}); err != nil {
						t.Fatal(err)
					}
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				began := time.Now()
				res, err := rt.RoundTrip(request(t, ctx))
				got := map[string]any{"took": time.Since(began), "token": strings.HasPrefix(token, "Bearer signed")}
				if !s.at.IsZero() {
					got["at"] = s.at.Sub(began)
				}
				if err != nil {
					got["error"] = err.Error()
				} else {
					body, err := io.ReadAll(res.Body)
					if err != nil {
						t.Fatal(err)
					}
					got["status"], got["retry"], got["same"] = res.StatusCode, res.Header.Get("Retry-After"), bytes.Contains(body, []byte(kid))
				}
				want := map[string]any{"took": time.Duration(0), "token": false, "status": 200, "retry": "", "same": true}
				failed := func(text string) {
					want["error"] = text
					delete(want, "status")
					delete(want, "retry")
					delete(want, "same")
				}
				switch kind {
				case faults.Throttled:
					want["status"], want["retry"], want["same"] = 429, "1", false
				case faults.ServerError:
					want["status"], want["same"] = 500, false
				case faults.Timeout:
					want["took"] = time.Minute
					failed("context deadline exceeded")
				case faults.Slow:
					want["took"] = time.Second
				case faults.WrongVersion:
					want["same"] = false
				case faults.ExpiredToken:
					want["token"], want["at"] = true, -48*time.Hour
				case faults.ClockSkew:
					want["token"], want["at"] = true, 24*time.Hour
				case faults.TLSFailure:
					failed("tls: failed to verify certificate: x509: certificate signed by unknown authority")
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

func TestMatchRateAndCount(t *testing.T) {
	t.Parallel()
	rolls := []float64{0.9, 0.1, 0.2}
	i := faults.New(faults.Config{
		Name: func(context.Context, string) string { return "Blue" },
		Roll: func() float64 { r := rolls[0]; rolls = append(rolls[1:], r); return r },
	})
	var token string
	rt := i.Transport(vault(&token), nil)
	ask := func(cluster string) int {
		res, err := rt.RoundTrip(request(t, faults.WithCluster(t.Context(), cluster)))
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}
	for _, m := range []faults.Match{{Host: "w.vault.azure.net"}, {Vault: "w"}, {Operation: "wrapKey"}, {Cluster: "red"}} {
		if _, err := i.Add(faults.Rule{Kind: faults.ServerError, Match: m}); err != nil {
			t.Fatal(err)
		}
	}
	if got := ask("id"); got != 200 {
		t.Errorf("rules that do not match: %d", got)
	}
	i.Clear()
	r, err := i.Add(faults.Rule{Kind: faults.ServerError, Rate: 0.5, Count: 2, Match: faults.Match{Host: "V.vault.azure.net", Vault: "V", Operation: "unwrapkey", Cluster: "blue"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for range 6 {
		got = append(got, ask("id"))
	}
	if d := cmp.Diff([]int{200, 500, 500, 200, 200, 200}, got); d != "" {
		t.Error(d)
	}
	if rules := i.Rules(); len(rules) != 1 || rules[0].Injected != 2 || rules[0].ID != r.ID {
		t.Errorf("rules %+v", rules)
	}
	if !i.Remove(r.ID) || i.Remove(r.ID) || len(i.Rules()) != 0 {
		t.Error("a rule is not removed once")
	}
}

func TestWrites(t *testing.T) {
	t.Parallel()
	i := faults.New(faults.Config{})
	var file bytes.Buffer
	w := i.Writer("/d/x.kxt", &file)
	write := func(text string) error { _, err := io.WriteString(w, text); return err }
	if err := write("whole"); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []faults.Kind{faults.TornWrite, faults.FullDisk} {
		for _, pattern := range []string{"*.kwl", "*.kxt"} {
			if _, err := i.Add(faults.Rule{Kind: kind, Count: 1, Match: faults.Match{File: pattern}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := write("torn"); !errors.Is(err, faults.ErrTorn) {
		t.Errorf("torn: %v", err)
	}
	if err := write("full"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("full: %v", err)
	}
	if err := write("again"); err != nil || file.String() != "wholetoagain" {
		t.Errorf("%q, %v", file.String(), err)
	}
}

func TestRefusedRules(t *testing.T) {
	t.Parallel()
	i := faults.New(faults.Config{})
	for name, r := range map[string]faults.Rule{
		"no kind":        {},
		"unknown kind":   {Kind: "gremlin"},
		"id":             {Kind: faults.Slow, ID: "7"},
		"injected":       {Kind: faults.Slow, Injected: 1},
		"rate":           {Kind: faults.Slow, Rate: 1.1},
		"negative rate":  {Kind: faults.Slow, Rate: -1},
		"count":          {Kind: faults.Slow, Count: -1},
		"retry":          {Kind: faults.Throttled, RetryAfter: 3601},
		"retry of slow":  {Kind: faults.Slow, RetryAfter: 1},
		"delay":          {Kind: faults.Slow, Delay: "soon"},
		"long delay":     {Kind: faults.Slow, Delay: "11m"},
		"delay of 500":   {Kind: faults.ServerError, Delay: "1s"},
		"disk and vault": {Kind: faults.FullDisk, Match: faults.Match{Vault: "v"}},
		"vault and file": {Kind: faults.Slow, Match: faults.Match{File: "*"}},
		"pattern":        {Kind: faults.FullDisk, Match: faults.Match{File: "["}},
		"operation":      {Kind: faults.Slow, Match: faults.Match{Operation: "sign"}},
	} {
		if got, err := i.Add(r); err == nil {
			t.Errorf("%s: taken as %+v", name, got)
		}
	}
	if len(i.Rules()) != 0 {
		t.Error("a refused rule is in force")
	}
}
