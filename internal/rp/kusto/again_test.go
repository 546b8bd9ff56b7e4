package kusto

import (
	"context"
	"errors"
	"testing"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/envelope"
)

// Every operation is repeatable: the process may stop after any step.
func TestOperationsRunAgain(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		method, path, body string
		at                 string // the runtime step after which the process stops
		check              func(t *testing.T, w *world)
	}{
		"create": {"PUT", "demo2", bodyPlain, "Start", func(t *testing.T, w *world) {
			if s := dig(w.get("demo2", v20230815), "properties.state"); s != "Running" {
				t.Errorf("state %v", s)
			}
		}},
		"key": {"PATCH", "demo1", keyBody(testVault, "key1", "v1"), "ChangeKEK", func(t *testing.T, w *world) {
			if k := dig(w.get("demo1", v20230815), "properties.keyVaultProperties.keyName"); k != "key1" {
				t.Errorf("key %v", k)
			}
		}},
		"stop": {"POST", "demo1/stop", "", "Stop", func(t *testing.T, w *world) {
			if s := dig(w.get("demo1", v20230815), "properties.state"); s != "Stopped" {
				t.Errorf("state %v", s)
			}
		}},
		"delete": {"DELETE", "demo1", "", "Delete", func(t *testing.T, w *world) {
			if a := w.do("GET", clusterPath("demo1"), v20230815, ""); a.err == nil {
				t.Error("the cluster is still there")
			}
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.cluster("demo1")
			w.grant("demo1", "vault1", "key1", "v1")
			crash := &crashing{fakeRuntime: w.runtime, at: tt.at, reached: make(chan struct{})}
			w.config.Runtime = crash
			w.restart()
			a := w.do(tt.method, clusterPath(tt.path), v20230815, tt.body)
			if a.err != nil {
				t.Fatal(a.err)
			}
			<-crash.reached // the step is done, and its outcome will never be told
			delete(w.keys.facts, "https://vault1.vault.azure.net/key1")
			w.config.Runtime = w.runtime
			w.restart()
			if err := w.ops.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			op, err := w.ops.Wait(t.Context(), a.OperationID)
			if err != nil || op.Status != operations.Succeeded {
				t.Fatalf("%s %v %v", op.Status, op.Error, err)
			}
			tt.check(t, w)
		})
	}
}

// crashing does one step and then hangs until its context ends, as a process
// that is killed right after the step would look to the next one.
type crashing struct {
	*fakeRuntime
	at      string
	reached chan struct{}
}

func (c *crashing) after(ctx context.Context, step string, err error) error {
	if step != c.at || err != nil {
		return err
	}
	close(c.reached)
	<-ctx.Done()
	return errors.Join(errors.New("killed"), ctx.Err())
}

func (c *crashing) Start(ctx context.Context, id string) error {
	return c.after(ctx, "Start", c.fakeRuntime.Start(ctx, id))
}

func (c *crashing) Stop(ctx context.Context, id string) error {
	return c.after(ctx, "Stop", c.fakeRuntime.Stop(ctx, id))
}

func (c *crashing) Delete(ctx context.Context, id string) error {
	return c.after(ctx, "Delete", c.fakeRuntime.Delete(ctx, id))
}

func (c *crashing) ChangeKEK(ctx context.Context, id string, kek envelope.KEK) error {
	return c.after(ctx, "ChangeKEK", c.fakeRuntime.ChangeKEK(ctx, id, kek))
}

func (c *crashing) CreateDatabase(ctx context.Context, id string, db catalog.Database) error {
	return c.after(ctx, "CreateDatabase", c.fakeRuntime.CreateDatabase(ctx, id, db))
}
