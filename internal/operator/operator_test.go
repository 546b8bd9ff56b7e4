package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/fsck/report"
)

// backend records what it is asked.
type backend struct {
	Backend // what a test does not expect is a nil dereference
	calls   []string
	secret  []byte // the callee's own, kept to see it wiped
	err     error
}

func (b *backend) note(format string, args ...any) error {
	b.calls = append(b.calls, fmt.Sprintf(format, args...))
	return b.err
}

func (b *backend) Status(context.Context) (Status, error) {
	return Status{InstanceID: "i", Sealed: true, Seal: "file:x", DataKeys: []uint32{1, 2}, PID: 7}, b.note("status")
}
func (b *backend) Seal(context.Context) error { return b.note("seal") }
func (b *backend) Unseal(_ context.Context, s Secret) error {
	b.secret = s
	return b.note("unseal %s", []byte(s))
}
func (b *backend) Rekey(_ context.Context, spec string, s Secret) error {
	return b.note("rekey %s %s", spec, []byte(s))
}
func (b *backend) Rotate(context.Context) (uint32, error) { return 3, b.note("rotate") }
func (b *backend) Identity(_ context.Context, id string) (Identity, error) {
	return Identity{ResourceID: id, ClientID: "c", Secret: "s"}, b.note("identity %s", id)
}
func (b *backend) CreateTenant(_ context.Context, name, domain string) (Tenant, error) {
	return Tenant{ID: "t", Name: name}, b.note("tenant %s %s", name, domain)
}
func (b *backend) CreateUser(_ context.Context, u NewUser) (User, error) {
	return User{ObjectID: "o", UPN: u.Name}, b.note("user %s %s %s %v %s", u.Tenant, u.Name, u.DisplayName, u.Owner, []byte(u.Password))
}
func (b *backend) RotateSigningKey(_ context.Context, tenant string) (string, error) {
	return "kid", b.note("signing key %s", tenant)
}
func (b *backend) AuditTail(_ context.Context, f audit.Filter, n int) ([]audit.Event, error) {
	return []audit.Event{{Sequence: 9}}, b.note("tail %s %d", f.Operation, n)
}
func (b *backend) AuditVerify(context.Context) (audit.Report, error) {
	return audit.Report{}, b.note("verify")
}

func (b *backend) Fsck(_ context.Context, after string) (FsckStep, error) {
	next := map[string]string{"": "a", "a": "b"}[after]
	return FsckStep{report.Report{Extents: 1, Notes: []string{after}}, next}, b.note("fsck %s", after)
}

// serve runs a server for b until the test ends.
func serve(t *testing.T, dir string, b Backend, log *slog.Logger) *Client {
	t.Helper()
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, b, log) }()
	c := NewClient(dir)
	t.Cleanup(func() {
		c.Close()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestCalls(t *testing.T) {
	t.Parallel()
	b := &backend{}
	// longer than the address of a socket may be
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c := serve(t, dir, b, slog.New(slog.DiscardHandler))
	ctx := t.Context()
	status, err := c.Status(ctx)
	if diff := cmp.Diff(Status{InstanceID: "i", Sealed: true, Seal: "file:x", DataKeys: []uint32{1, 2}, PID: 7}, status); diff != "" || err != nil {
		t.Error(diff, err)
	}
	key, err := c.Rotate(ctx)
	if key != 3 || err != nil {
		t.Error(key, err)
	}
	identity, err := c.Identity(ctx, "/id")
	if identity.ResourceID != "/id" || identity.Secret != "s" || err != nil {
		t.Errorf("%s %v", identity.ResourceID, err)
	}
	user, err := c.CreateUser(ctx, NewUser{Tenant: "b", Name: "a@b", DisplayName: "A", Owner: true, Password: Secret("pw")})
	if user != (User{"o", "a@b"}) || err != nil {
		t.Error(user, err)
	}
	tenant, err := c.CreateTenant(ctx, "B", "b.example")
	if err != nil || tenant.ID != "t" || tenant.Name != "B" {
		t.Errorf("tenant %+v, %v", tenant, err)
	}
	id, err := c.RotateSigningKey(ctx, "b")
	if id != "kid" || err != nil {
		t.Error(id, err)
	}
	events, err := c.AuditTail(ctx, audit.Filter{Operation: "keys/wrap"}, 5)
	if len(events) != 1 || events[0].Sequence != 9 || err != nil {
		t.Error(events, err)
	}
	_, many := c.AuditTail(ctx, audit.Filter{}, 1<<30)
	_, none := c.AuditTail(ctx, audit.Filter{}, -1)
	_, verify := c.AuditVerify(ctx)
	if err := errors.Join(many, none, verify, c.Seal(ctx), c.Unseal(ctx, Secret("open")), c.Rekey(ctx, "file:y", Secret("new"))); err != nil {
		t.Error(err)
	}
	want := []string{"status", "rotate", "identity /id", "user b a@b A true pw", "tenant B b.example", "signing key b", "tail keys/wrap 5",
		fmt.Sprintf("tail  %d", maxTail), "tail  1", "verify", "seal", "unseal open", "rekey file:y new"}
	if diff := cmp.Diff(want, b.calls); diff != "" {
		t.Error(diff)
	}
	if string(b.secret) != "\x00\x00\x00\x00" {
		t.Error("the secret outlives its call")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	b := &backend{err: ErrSealed}
	c := serve(t, t.TempDir(), b, slog.New(slog.NewJSONHandler(&out, nil)))
	if err := c.Unseal(t.Context(), Secret("hush")); err == nil || err.Error() != ErrSealed.Error() {
		t.Error(err)
	}
	for body, want := range map[string]int{
		`{}`:  http.StatusConflict,
		`{`:   http.StatusUnprocessableEntity,
		`[1]`: http.StatusUnprocessableEntity,
		`{"seal":"` + strings.Repeat("x", maxBody) + `"}`: http.StatusUnprocessableEntity,
	} {
		res, err := c.http.Post("http://admin/seal", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		var f failure
		if err := json.NewDecoder(res.Body).Decode(&f); err != nil || f.Error == "" || res.StatusCode != want {
			t.Errorf("%.20s: %d %q %v", body, res.StatusCode, f.Error, err)
		}
		_ = res.Body.Close()
	}
	for _, target := range []string{"GET /seal", "POST /nothing"} {
		method, path, _ := strings.Cut(target, " ")
		req, err := http.NewRequestWithContext(t.Context(), method, "http://admin"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusMethodNotAllowed && res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", target, res.StatusCode)
		}
	}
	if len(b.calls) != 2 { // the unseal, and the seal with a body
		t.Error(b.calls)
	}
	if strings.Contains(out.String(), "hush") {
		t.Error("the log holds a secret")
	}
}

func TestSocket(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := NewClient(dir).Status(t.Context()); !errors.Is(err, ErrNoServer) {
		t.Errorf("no socket: %v", err)
	}
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, SocketName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	_ = l.Close()
	if _, err := NewClient(dir).Status(t.Context()); !errors.Is(err, ErrNoServer) {
		t.Errorf("a socket that nobody listens on: %v", err)
	}
	c := serve(t, dir, &backend{}, slog.New(slog.DiscardHandler)) // over the old one
	if _, err := c.Status(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := Listen(filepath.Join(dir, "none")); err == nil {
		t.Error("listens in a folder that is not there")
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	log := slog.New(slog.NewJSONHandler(&out, nil))
	for _, v := range []any{Secret("hush"), Identity{Secret: "hush", Header: "hush", Proxy: "http://hush@h"}} {
		log.Info("v", "v", v)
		fmt.Fprintf(&out, "%v %+v %#v %s %q %x", v, v, v, v, v, v)
	}
	if text := out.String(); strings.Contains(text, "hush") || strings.Contains(text, "68757368") || !strings.Contains(text, "REDACTED") {
		t.Error(text)
	}
}
