package server

import "testing"

// A connection that is closed is still held by the goroutine that served it.
func TestForgettingWaitsForWhoeverHoldsAConnection(t *testing.T) {
	t.Parallel()
	asked := 0
	if !awaitUnheld(func() bool { asked++; return asked < 4 }) || asked != 4 {
		t.Errorf("asked %d times", asked)
	}
}
