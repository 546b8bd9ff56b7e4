package scripts_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kustos-io/kustos/internal/client"
)

// call METHOD PATH-AND-QUERY [BODY]: asks Resource Manager once, without
// waiting for what it starts, and prints the answer. An answer that is still
// to come is fetched from its Location.
func call(ts *testscript.TestScript, neg bool, args []string) {
	c := state(ts).c
	a, err := c.Do(context.Background(), client.ARM, args[0], client.ARM+args[1], body(ts, args[2:]))
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for location := a.Header.Get("Location"); err == nil && a.Status == http.StatusAccepted && location != ""; {
		select {
		case <-deadline:
			ts.Fatalf("%s is not answered within %s", args[1], patience)
		case <-tick.C:
		}
		a, err = c.Do(context.Background(), client.ARM, http.MethodGet, location, nil)
	}
	finish(ts, neg, string(a.Body), errors.Join(err, a.Refusal()))
}

// settled STATE PATH-AND-QUERY: waits until the resource is in that
// provisioning state.
func settled(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		a, err := state(ts).c.Do(context.Background(), client.ARM, http.MethodGet, client.ARM+args[1], nil)
		ts.Check(errors.Join(err, a.Refusal()))
		var got struct {
			Properties struct {
				ProvisioningState string `json:"provisioningState"`
			} `json:"properties"`
		}
		ts.Check(json.Unmarshal(a.Body, &got))
		if got.Properties.ProvisioningState == args[0] {
			finish(ts, false, string(a.Body), nil)
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("%s is %s, not %s, after %s", args[1], got.Properties.ProvisioningState, args[0], patience)
		case <-tick.C:
		}
	}
}

// shown TEXT PATH-AND-QUERY: waits until the resource shows the text (with !:
// does not show it).
func shown(ts *testscript.TestScript, neg bool, args []string) {
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		a, err := state(ts).c.Do(context.Background(), client.ARM, http.MethodGet, client.ARM+args[1], nil)
		ts.Check(errors.Join(err, a.Refusal()))
		if strings.Contains(string(a.Body), args[0]) != neg {
			finish(ts, false, string(a.Body), nil)
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("within %s %s is not what it should be: %s", patience, args[1], a.Body)
		case <-tick.C:
		}
	}
}
