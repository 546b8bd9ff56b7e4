package client_test

import (
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/client"
)

// A server that ends before it is ready is an error of Start; there is nothing
// left to stop then.
func TestInstanceThatDoesNotStart(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*client.Instance) error{"stop": (*client.Instance).Stop, "kill": (*client.Instance).Kill} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := client.NewInstance("/bin/false", t.TempDir())
			if _, _, err := i.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "ended before it was ready") {
				t.Fatalf("start: %v", err)
			}
			if err := end(i); err != nil {
				t.Error(err)
			}
		})
	}
}
