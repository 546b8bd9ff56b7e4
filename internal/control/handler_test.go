package control_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/clock"
	"github.com/kustos-io/kustos/internal/control"
	"github.com/kustos-io/kustos/internal/faults"
)

const token = "open sesame"

func call(t *testing.T, h http.Handler, bearer, line string) (int, string) {
	t.Helper()
	method, rest, _ := strings.Cut(line, " ")
	path, body, _ := strings.Cut(rest, " ")
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	data, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(data)
}

func TestControl(t *testing.T) {
	t.Parallel()
	c := clock.Manual(0)
	var kept time.Duration
	swept := 0
	h := control.New(control.Config{Clock: c, Faults: faults.New(faults.Config{}), Token: token, Log: slog.New(slog.DiscardHandler),
		Keep:     func(_ *http.Request, d time.Duration) error { kept = d; return nil },
		Advanced: func(*http.Request) { swept++ }})
	for _, tc := range []struct {
		line string
		code int
		want string
	}{
		{"GET /clock", 200, `"mode":"manual"`},
		{`POST /clock/advance {"by":"90d"}`, 200, `"offset":"2160h0m0s"`},
		{`POST /clock/advance {"by":"-1h"}`, 400, "InvalidDuration"},
		{`POST /clock/advance {"by":"0d"}`, 400, "InvalidDuration"},
		{`POST /clock/advance {"by":"soon"}`, 400, "InvalidDuration"},
		{`POST /clock/advance {"by":"1h","please":true}`, 400, `unknown field \"please\"`},
		{`POST /clock/advance {"by":"1h"} {}`, 400, "something follows"},
		{`POST /clock/advance`, 400, "is empty"},
		{`POST /clock/advance {"by":`, 400, "breaks off"},
		{`POST /clock/advance []`, 400, "it is no object"},
		{`POST /clock/advance {"by":5}`, 400, "the member by is a number"},
		{`GET /clock/advance`, 404, "NotFound"},
		{`POST /faults {"kind":"throttled","match":{"vault":"v"},"rate":0.5,"count":3}`, 201, `"id":"1"`},
		{`POST /faults {"kind":"throttled","rate":0}`, 400, "rate 0 is not above 0"},
		{`POST /faults {"kind":"throttled","rate":2}`, 400, "rate 2 is not above 0"},
		{`POST /faults {"kind":"gremlin"}`, 400, "InvalidRule"},
		{`POST /faults {"kind":"slow","match":{"colour":"red"}}`, 400, "InvalidBody"},
		{"GET /faults", 200, `"retryAfter":1,"injected":0`},
		{"DELETE /faults/9", 404, "RuleNotFound"},
		{"DELETE /faults/1", 200, `{"removed":1}`},
		{"DELETE /faults", 200, `{"removed":0}`},
		{"GET /faults", 200, `{"rules":[]}`},
		{"GET /keys", 404, "NotFound"},
	} {
		if code, body := call(t, h, token, tc.line); code != tc.code || !strings.Contains(body, tc.want) {
			t.Errorf("%s: %d %s", tc.line, code, body)
		}
	}
	if kept != 90*24*time.Hour || c.Offset() != kept || swept != 1 {
		t.Errorf("kept %s, offset %s, swept %d times", kept, c.Offset(), swept)
	}
	for _, bearer := range []string{"", "wrong"} {
		for _, line := range []string{"GET /clock", `POST /clock/advance {"by":"1d"}`, "POST /faults {}", "GET /elsewhere"} {
			if code, body := call(t, h, bearer, line); code != 401 {
				t.Errorf("%s with bearer %q: %d %s", line, bearer, code, body)
			}
		}
	}
}

func TestLargeBody(t *testing.T) {
	t.Parallel()
	h := control.New(control.Config{Clock: clock.Real(), Faults: faults.New(faults.Config{}), Token: token, Log: slog.New(slog.DiscardHandler)})
	code, body := call(t, h, token, `POST /faults {"kind":"`+strings.Repeat("x", 1<<17)+`"}`)
	if code != http.StatusRequestEntityTooLarge || !strings.Contains(body, "larger than 65536 bytes") {
		t.Error(code, body)
	}
}

func TestClockThatDoesNotMove(t *testing.T) {
	t.Parallel()
	broken := func(*http.Request, time.Duration) error { return errors.New("no disk") }
	for i, tc := range []struct {
		clock *clock.Clock
		want  int
	}{{clock.Real(), http.StatusConflict}, {clock.Manual(0), http.StatusInternalServerError}} {
		h := control.New(control.Config{Clock: tc.clock, Keep: broken, Faults: faults.New(faults.Config{}), Token: token, Log: slog.New(slog.DiscardHandler)})
		code, body := call(t, h, token, `POST /clock/advance {"by":"1d"}`)
		if code != tc.want || tc.clock.Offset() != 0 || strings.Contains(body, "no disk") {
			t.Error(fmt.Sprint(i), code, body)
		}
	}
	h := control.New(control.Config{Clock: clock.Real(), Faults: faults.New(faults.Config{}), Log: slog.New(slog.DiscardHandler)})
	if code, _ := call(t, h, "", "GET /clock"); code != http.StatusUnauthorized {
		t.Errorf("an empty token lets in: %d", code)
	}
}
