package arm_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/arm"
	"github.com/kustos-io/kustos/internal/arm/armtest"
)

const identities = "?api-version=2023-01-31"

func TestConditions(t *testing.T) {
	t.Parallel()
	h := armtest.New(t, armtest.Options{})
	h.Group(t, "rg1")
	id := h.Sub + "/resourceGroups/rg1/providers/Microsoft.ManagedIdentity/userAssignedIdentities/identity1" + identities
	const body = `{"location":"westeurope"}`
	send := func(method, header, value, body string, status int, code string) http.Header {
		t.Helper()
		a := h.Send(t, "", method, id, body, http.Header{header: {value}})
		if a.Status != status || a.Code() != code {
			t.Errorf("%s with %s: %s: %d %s, want %d %s", method, header, value, a.Status, a.Body, status, code)
		}
		return a.Header
	}
	send("PUT", "If-Match", "*", body, 412, "PreconditionFailed")
	first := send("PUT", "If-None-Match", "*", body, 201, "").Get("ETag")
	send("PUT", "If-None-Match", "*", body, 412, "PreconditionFailed")
	if got := h.Must(t, "GET", id, "", 200).Header.Get("ETag"); first == "" || got != first {
		t.Errorf("ETag %q, then %q", first, got)
	}
	second := send("PATCH", "If-Match", first, `{"tags":{"a":"1"}}`, 200, "").Get("ETag")
	send("PATCH", "If-Match", first, `{"tags":{"a":"2"}}`, 412, "PreconditionFailed")
	send("PATCH", "If-Match", `"x", `+strings.Trim(second, `"`), `{"tags":{"a":"2"}}`, 200, "")
	send("DELETE", "If-Match", second, "", 412, "PreconditionFailed")
	send("DELETE", "If-Match", "*", "", 200, "")
	send("DELETE", "If-Match", "*", "", 412, "PreconditionFailed")
	if a := h.Do(t, "HEAD", id, ""); a.Status != 404 {
		t.Errorf("HEAD: %d", a.Status)
	}
}

// Of many writers that read the same state one wins.
func TestConditionsHoldBackWriters(t *testing.T) {
	t.Parallel()
	h := armtest.New(t, armtest.Options{})
	h.Group(t, "rg1")
	id := h.Identity(t, "rg1", "identity1") + identities
	tag := h.Must(t, "GET", id, "", 200).Header.Get("ETag")
	var wins atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if a := h.Send(t, "", "PATCH", id, `{"tags":{"n":"`+strconv.Itoa(i)+`"}}`, http.Header{"If-Match": {tag}}); a.Status == 200 {
				wins.Add(1)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		t.Errorf("%d writers won", wins.Load())
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 2, 3, 59, 30, 0, time.UTC)
	h := armtest.New(t, armtest.Options{Limits: arm.Limits{Reads: 2, Writes: 1}, Now: func() time.Time { return now }})
	read := func() armtest.Answer { return h.Do(t, "GET", h.Sub+"?api-version=2022-12-01", "") }
	for _, left := range []string{"1", "0"} {
		if a := read(); a.Status != 200 || a.Header.Get("x-ms-ratelimit-remaining-subscription-reads") != left {
			t.Errorf("%d %v", a.Status, a.Header)
		}
	}
	a := read()
	if a.Status != 429 || a.Code() != "SubscriptionRequestsThrottled" || a.Header.Get("Retry-After") != "31" ||
		a.Message() != "Number of 'read' requests for subscription '"+h.Boot.SubscriptionID+"' exceeded the limit. Please try again after '31' seconds." {
		t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
	}
	// another class, another subscription, another principal and the next hour are free
	h.Group(t, "rg1")
	if a := h.Do(t, "GET", "/subscriptions?api-version=2022-12-01", ""); a.Status != 200 || a.Header.Get("x-ms-ratelimit-remaining-tenant-reads") != "1" {
		t.Errorf("%d %v", a.Status, a.Header)
	}
	_, other := h.Principal(t, "other")
	if a := h.As(t, other, "GET", h.Sub+"?api-version=2022-12-01", ""); a.Status != 403 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := h.Do(t, "PUT", h.Sub+"/resourceGroups/rg2?api-version=2021-04-01", `{"location":"westeurope"}`); a.Status != 429 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	now = now.Add(time.Minute)
	if a := read(); a.Status != 200 || a.Header.Get("x-ms-ratelimit-remaining-subscription-deletes") != "" {
		t.Errorf("%d %v", a.Status, a.Header)
	}
}
