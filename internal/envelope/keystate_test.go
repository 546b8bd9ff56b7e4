package envelope_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/envelope"
)

func TestKeyStates(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		from   envelope.KeyState
		events []envelope.KeyEvent
		want   envelope.KeyState
	}{
		"enable":            {envelope.KeyPlatform, []envelope.KeyEvent{envelope.KeyToCustomer}, envelope.KeyCustomer},
		"disable":           {envelope.KeyCustomer, []envelope.KeyEvent{envelope.KeyToPlatform}, envelope.KeyPlatform},
		"rotate":            {envelope.KeyCustomer, []envelope.KeyEvent{envelope.KeyToCustomer}, envelope.KeyCustomer},
		"revoke":            {envelope.KeyCustomer, []envelope.KeyEvent{envelope.KeyRefused, envelope.KeyWiped, envelope.KeyRefused}, envelope.KeySuspended},
		"restore":           {envelope.KeySuspended, []envelope.KeyEvent{envelope.KeyAnswered, envelope.KeyUp}, envelope.KeyCustomer},
		"fail, then return": {envelope.KeySuspended, []envelope.KeyEvent{envelope.KeyAnswered, envelope.KeyBroke, envelope.KeyAnswered, envelope.KeyUp}, envelope.KeyCustomer},
		"fail, then lose":   {envelope.KeyFailed, []envelope.KeyEvent{envelope.KeyRefused, envelope.KeyWiped}, envelope.KeySuspended},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := test.from
			for _, e := range test.events {
				var err error
				if s, err = s.Next(e); err != nil {
					t.Fatal(err)
				}
			}
			if s != test.want {
				t.Errorf("got %s, want %s", s, test.want)
			}
		})
	}
}

// Nothing is suspended before it is wiped, nothing answers before it is
// restored, and the platform's key is never refused.
func TestKeyStateOrder(t *testing.T) {
	t.Parallel()
	events := []envelope.KeyEvent{envelope.KeyToPlatform, envelope.KeyToCustomer, envelope.KeyRefused, envelope.KeyWiped, envelope.KeyAnswered, envelope.KeyUp, envelope.KeyBroke}
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.SampledFrom([]envelope.KeyState{envelope.KeyPlatform, envelope.KeyCustomer}).Draw(rt, "from")
		for range rapid.IntRange(1, 30).Draw(rt, "events") {
			e := rapid.SampledFrom(events).Draw(rt, "event")
			next, err := s.Next(e)
			switch {
			case err != nil && next != s:
				rt.Fatalf("an impossible event changed %s to %s", s, next)
			case next == envelope.KeySuspended && s != next && e != envelope.KeyWiped:
				rt.Fatalf("%s became suspended by %s", s, e)
			case next == envelope.KeyCustomer && s != next && s != envelope.KeyRestoring && s != envelope.KeyPlatform:
				rt.Fatalf("%s became customer without being restored", s)
			case s == envelope.KeyPlatform && e == envelope.KeyRefused && err == nil:
				rt.Fatal("the platform's key was refused")
			}
			s = next
		}
	})
}
