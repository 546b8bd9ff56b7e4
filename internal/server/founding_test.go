package server

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
)

// A tenant is there as a whole or not at all: whatever step fails, nothing of
// it is left, and the same name can be tried again.
func TestTenantIsMadeWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	p := composed(t, testConfig(t))
	whole := p.store
	for step := 1; ; step++ {
		if step > 100 {
			t.Fatal("the making of a tenant has no end")
		}
		broken := &failing{Store: whole, left: step}
		p.store = broken
		before := entries(t, p)
		made, err := p.createTenant(t.Context(), "Contoso", "")
		p.store = whole
		if !broken.struck {
			if err != nil || made == nil || step < 10 || len(entries(t, p)) < 10 {
				t.Fatalf("after %d writes: %v, %v", step, err, entries(t, p))
			}
			break
		}
		if err == nil || len(p.tenants.all()) != 1 {
			t.Fatalf("write %d failed and a tenant was made: %v", step, err)
		}
		if diff := cmp.Diff(before, entries(t, p)); diff != "" {
			t.Fatalf("write %d failed and left something (-before +after)\n%s", step, diff)
		}
	}
	if _, err := p.createTenant(t.Context(), "contoso", "other.example"); err == nil {
		t.Error("a name twice")
	}
}

// A tenant whose making was cut after it was durable is served from the next start.
func TestTenantOutlivesARestart(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	in := mustOpen(t, cfg)
	open := func() *parts {
		t.Helper()
		next := cfg
		next.ProxyAddr, next.DirectAddr = "127.0.0.1:0", "127.0.0.1:0"
		p, err := compose(t.Context(), next, in, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := open()
	ctx, stop := context.WithCancel(t.Context())
	p.upkeep.begin(ctx)
	made, err := p.createTenant(t.Context(), "Contoso", "contoso.example")
	if err != nil {
		t.Fatal(err)
	}
	want := made.connection()
	p.takeDown(t, stop)

	in = mustOpen(t, cfg)
	p = open()
	ctx, stop = context.WithCancel(t.Context())
	p.upkeep.begin(ctx)
	defer p.takeDown(t, stop)
	if len(p.tenants.all()) != 2 {
		t.Fatalf("%d tenants after a restart", len(p.tenants.all()))
	}
	if diff := cmp.Diff(want, p.tenants.all()[1].connection()); diff != "" {
		t.Errorf("after a restart (-want +got)\n%s", diff)
	}
	again := p.as(p.tenants.all()[1])
	again.must(t, forARM, "PUT", forARM+"/subscriptions/"+again.SubscriptionID+"/resourceGroups/rg?api-version=2021-04-01", `{"location":"westeurope"}`)
}

func TestTenantNamesAreChecked(t *testing.T) {
	t.Parallel()
	p := composed(t, testConfig(t))
	for _, c := range []struct{ name, domain, want string }{
		{"", "", "1 to 64 characters"}, {"  ", "", "1 to 64 characters"}, {strings.Repeat("x", 65), "", "1 to 64 characters"}, {"a\nb", "", "control character"},
		{"11111111-2222-3333-4444-555555555555", "", "cannot be a GUID"}, {"東京", "", "give one with --domain"}, {"a", "nodots", "is not a domain name"},
		{"a", "a..b", "is not a domain name"}, {"kustos", "x.example", "there is a tenant"}, {"a", "Kustos.onmicrosoft.com", "is that of the tenant"}, {"kustos.onmicrosoft.com", "x.example", "there is a tenant"},
	} {
		if _, err := p.createTenant(t.Context(), c.name, c.domain); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("tenant %q %q: %v, want %q", c.name, c.domain, err, c.want)
		}
	}
	p.upkeep.close()
	if _, err := p.createTenant(t.Context(), "late", ""); !errors.Is(err, errStopping) {
		t.Errorf("while stopping: %v", err)
	}
}

// failing is a store whose Put number left fails.
type failing struct {
	store.Store
	left   int
	struck bool
}

var errStruck = errors.New("struck")

func (f *failing) Update(ctx context.Context, fn func(store.Tx) error) error {
	return f.Store.Update(ctx, func(tx store.Tx) error { return fn(failingTx{tx, f}) })
}

type failingTx struct {
	store.Tx
	f *failing
}

func (t failingTx) Put(bucket, key string, value []byte) error {
	if t.f.left--; t.f.left == 0 {
		t.f.struck = true
		return errStruck
	}
	return t.Tx.Put(bucket, key, value)
}

// entries are the keys of everything that tenants but the first have, as they
// are in the file.
func entries(t *testing.T, p *parts) (keys []string) {
	t.Helper()
	problems, err := sqlstore.Check(t.Context(), filepath.Join(p.in.dir, stateName), func(bucket, key string, _ []byte) error {
		if bucket == tenantBucket || strings.HasPrefix(bucket, "tenants/") {
			keys = append(keys, bucket+" "+key)
		}
		return nil
	})
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	return keys
}
