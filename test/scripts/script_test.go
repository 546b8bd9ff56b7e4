package scripts_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kustos-io/kustos/internal/cli"
	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/internal/connection"
	"github.com/kustos-io/kustos/internal/faults"
	"github.com/kustos-io/kustos/test/harness"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

// patience bounds `until`.
const patience = time.Minute

// session is the state of one script: its server and its client.
type session struct {
	inst *client.Instance
	c    *client.Client
}

type sessionKey struct{}

func TestScripts(t *testing.T) {
	binary := harness.Binary(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "state"))
			env.Setenv("DATA", filepath.Join(env.WorkDir, "server", "data"))
			env.Setenv("KUSTOS_DATA", filepath.Join(env.WorkDir, "server", "data"))
			env.Setenv("SEAL", filepath.Join(env.WorkDir, "server", "seal"))
			env.Setenv("KUSTOS", binary)
			s := &session{}
			env.Values[sessionKey{}] = s
			env.Defer(func() {
				if s.inst != nil {
					_ = s.inst.Kill()
				}
			})
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"up": up, "sealed": sealed, "ready": ready, "down": down, "crash": crash, "kustos": kustos,
			"arm": arm, "vault": vault, "query": query, "stream": stream, "until": until, "comes": comes, "capture": capture, "nowhere": nowhere,
			"damage": damage, "lose": lose, "control": control, "struck": struck, "kustos-log": kustosLog,
			"graph": graph, "signin": signin, "call": call, "settled": settled, "shown": shown, "as": as,
		},
	})
}

func state(ts *testscript.TestScript) *session { return ts.Value(sessionKey{}).(*session) }

// finish checks a command's outcome against the script's expectation and
// prints what it said where `stdout` and `stderr` can match it.
func finish(ts *testscript.TestScript, neg bool, out string, err error) {
	if err != nil {
		fmt.Fprintln(ts.Stderr(), err)
	}
	fmt.Fprintln(ts.Stdout(), out)
	switch {
	case err != nil && !neg:
		ts.Fatalf("%v", err)
	case err == nil && neg:
		ts.Fatalf("not refused: %s", out)
	}
}

// up [ARG…]: starts the server on $DATA.
func up(ts *testscript.TestScript, neg bool, args []string) {
	s := state(ts)
	root := filepath.Dir(ts.Getenv("DATA"))
	ts.Check(os.MkdirAll(root, 0o700))
	s.inst = client.NewInstance(ts.Getenv("KUSTOS"), root, args...)
	c, took, err := s.inst.Start(context.Background())
	if err == nil {
		s.meet(ts, c)
	}
	finish(ts, neg, fmt.Sprintf("ready in %s", took), err)
}

// sealed [ARG…]: starts the server on $DATA, and on the addresses it had, with no
// terminal to ask for a passphrase.
func sealed(ts *testscript.TestScript, neg bool, args []string) {
	s := state(ts)
	proxy, err := url.Parse(s.c.Conn.Proxy)
	ts.Check(err)
	s.inst = client.NewInstance(ts.Getenv("KUSTOS"), filepath.Dir(ts.Getenv("DATA")), append([]string{"--proxy", proxy.Host}, args...)...)
	finish(ts, neg, "", s.inst.StartSealed(context.Background()))
}

// ready: waits until the server answers.
func ready(ts *testscript.TestScript, neg bool, _ []string) {
	s := state(ts)
	c, err := s.inst.Ready(context.Background())
	if err == nil {
		s.meet(ts, c)
	}
	finish(ts, neg, "", err)
}

// meet makes c the script's client.
func (s *session) meet(ts *testscript.TestScript, c *client.Client) {
	s.c = c
	for name, value := range map[string]string{"TENANT": c.Conn.TenantID, "SUB": "/subscriptions/" + c.Conn.SubscriptionID, "CLIENT": c.Conn.ClientID} {
		ts.Setenv(name, value)
	}
	me, err := c.Subject(context.Background())
	ts.Check(err)
	ts.Setenv("ME", me)
}

// down: SIGTERM; the exit status must be 0.
func down(ts *testscript.TestScript, neg bool, _ []string) {
	finish(ts, neg, "stopped", state(ts).inst.Stop())
}

// crash: SIGKILL.
func crash(ts *testscript.TestScript, neg bool, _ []string) {
	finish(ts, neg, "killed", state(ts).inst.Kill())
}

// kustos ARG…: runs the binary.
func kustos(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(ts.Getenv("KUSTOS"), args...)
	if (err == nil) == neg {
		ts.Fatalf("kustos %s: %v", strings.Join(args, " "), err)
	}
}

// body is the request body in a file of the script with $VARIABLES expanded;
// nil without a file.
func body(ts *testscript.TestScript, args []string) any {
	if len(args) == 0 {
		return nil
	}
	return os.Expand(ts.ReadFile(args[0]), func(name string) string {
		if value := ts.Getenv(name); value != "" {
			return value
		}
		return "$" + name // "$schema" and the like
	})
}

// arm METHOD PATH API-VERSION [BODY]: calls Resource Manager, follows the
// operation and prints the resource.
func arm(ts *testscript.TestScript, neg bool, args []string) {
	var out json.RawMessage
	var into any = &out
	if args[0] == http.MethodDelete || args[0] == http.MethodPost {
		into = nil
	}
	err := state(ts).c.ARM(context.Background(), args[0], args[1], args[2], body(ts, args[3:]), into)
	finish(ts, neg, string(out), err)
}

// vault METHOD VAULT PATH [BODY]: calls a vault's data plane.
func vault(ts *testscript.TestScript, neg bool, args []string) {
	a, err := state(ts).c.Do(context.Background(), client.Vault, args[0], "https://"+args[1]+".vault.azure.net"+args[2]+"?api-version=7.4", body(ts, args[3:]))
	finish(ts, neg, string(a.Body), errors.Join(err, a.Refusal()))
}

// graph METHOD PATH [BODY]: calls Microsoft Graph.
func graph(ts *testscript.TestScript, neg bool, args []string) {
	a, err := state(ts).c.Do(context.Background(), client.Graph, args[0], client.Graph+"/v1.0"+args[1], body(ts, args[2:]))
	finish(ts, neg, string(a.Body), errors.Join(err, a.Refusal()))
}

// signin [CLIENT SECRET]: goes on as another principal, or as the first one.
func signin(ts *testscript.TestScript, neg bool, args []string) {
	s := state(ts)
	conn, err := connection.Read(s.inst.DataDir())
	ts.Check(err)
	if len(args) == 2 {
		conn.ClientID, conn.ClientSecret = args[0], args[1]
	}
	if s.c, err = client.New(conn); err == nil {
		_, err = s.c.Subject(context.Background())
	}
	finish(ts, neg, "signed in", err)
}

// as TENANT: goes on as the first principal of a tenant; $TENANT, $SUB, $CLIENT
// and $ME are its.
func as(ts *testscript.TestScript, neg bool, args []string) {
	s := state(ts)
	conn, err := connection.Read(s.inst.DataDir())
	if err == nil {
		conn, err = conn.Of(args[0])
	}
	var c *client.Client
	if err == nil {
		c, err = client.New(conn)
	}
	if err == nil {
		s.meet(ts, c)
	}
	finish(ts, neg, "", err)
}

// query CLUSTER DATABASE TEXT: runs a query or command and prints its rows.
func query(ts *testscript.TestScript, neg bool, args []string) {
	out, err := rows(ts, args)
	finish(ts, neg, out, err)
}

func rows(ts *testscript.TestScript, args []string) (string, error) {
	got, err := state(ts).c.Query(context.Background(), "https://"+args[0]+".westeurope.kusto.windows.net", args[1], args[2])
	lines := make([]string, len(got))
	for i, r := range got {
		lines[i] = strings.Trim(fmt.Sprint(r), "[]")
	}
	return strings.Join(lines, "\n"), err
}

// stream CLUSTER DATABASE TABLE FORMAT FILE: streaming ingestion.
func stream(ts *testscript.TestScript, neg bool, args []string) {
	err := state(ts).c.Stream(context.Background(), "https://"+args[0]+".westeurope.kusto.windows.net", args[1], args[2], args[3], []byte(ts.ReadFile(args[4])))
	finish(ts, neg, "ingested", err)
}

// until CLUSTER DATABASE TEXT: asks until the query is answered (with !: refused).
func until(ts *testscript.TestScript, neg bool, args []string) {
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := rows(ts, args)
		if (err != nil) == neg {
			finish(ts, neg, out, err)
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("not within %s; the last answer was %q, %v", patience, out, err)
		case <-tick.C:
		}
	}
}

// comes CLUSTER DATABASE TEXT PATTERN: asks until the answer matches.
func comes(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile(args[3])
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := rows(ts, args)
		if err == nil && want.MatchString(out) {
			finish(ts, false, out, nil)
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("not within %s; the last answer was %q, %v", patience, out, err)
		case <-tick.C:
		}
	}
}

// capture VARIABLE JSON-PATH: takes a member of the last answer, such as
// identity.principalId, into a variable. With a trailing "/" only what stands
// after the last slash is taken.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
	name, last := strings.CutSuffix(args[1], "/")
	for step := range strings.SplitSeq(name, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			ts.Fatalf("the answer has no %s", args[1])
		}
		v = m[step]
	}
	text := fmt.Sprint(v)
	if last {
		text = text[strings.LastIndexByte(text, '/')+1:]
	}
	ts.Setenv(args[0], text)
}

// control METHOD PATH [BODY]: calls the control API.
func control(ts *testscript.TestScript, neg bool, args []string) {
	var payload any
	if len(args) > 2 {
		payload = json.RawMessage(body(ts, args[2:]).(string))
	}
	out, err := cli.Control(context.Background(), state(ts).c.Conn, args[0], args[1], payload)
	if err != nil {
		out = []byte(err.Error())
	}
	finish(ts, neg, string(out), err)
}

// struck KIND: waits until a fault rule of that kind has been injected and the
// next probe of a key had its answer.
func struck(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := cli.Control(context.Background(), state(ts).c.Conn, http.MethodGet, "/faults", nil)
		ts.Check(err)
		var list struct{ Rules []faults.Rule }
		ts.Check(json.Unmarshal(out, &list))
		for _, r := range list.Rules {
			if string(r.Kind) == args[0] && r.Injected >= 4 { // the SDK tries three times for one probe
				return
			}
		}
		select {
		case <-deadline:
			ts.Fatalf("no fault %s within %s: %s", args[0], patience, out)
		case <-tick.C:
		}
	}
}

// kustos-log TEXT: the server's log holds the text.
func kustosLog(ts *testscript.TestScript, neg bool, args []string) {
	data, err := os.ReadFile(filepath.Join(filepath.Dir(ts.Getenv("DATA")), "server.log"))
	ts.Check(err)
	if strings.Contains(string(data), args[0]) == neg {
		ts.Fatalf("the server's log: %s", data)
	}
}

// nowhere TEXT: no file below $DATA but connection.json holds the text.
func nowhere(ts *testscript.TestScript, neg bool, args []string) {
	var hits []string
	err := filepath.WalkDir(ts.Getenv("DATA"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || entry.Name() == "connection.json" {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), args[0]) {
			hits = append(hits, path)
		}
		return err
	})
	ts.Check(err)
	if (len(hits) > 0) != neg {
		ts.Fatalf("%q lies in %v", args[0], hits)
	}
}
