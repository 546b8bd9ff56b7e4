package envelope

import "fmt"

// KeyState says how it stands with the key of a cluster, or with a database's
// own, whatever its user wishes: a stopped cluster keeps the state its key had.
// DESIGN.md draws the machine; this file is it.
type KeyState string

// The states. Suspended and Restoring come and go by themselves.
const (
	KeyPlatform   KeyState = "platform"   // wrapped by the platform's KEK
	KeyCluster    KeyState = "cluster"    // of a database: it follows the cluster's key
	KeyCustomer   KeyState = "customer"   // wrapped by a customer's KEK, which answered last
	KeySuspending KeyState = "suspending" // refused: answers end, plaintext and keys are being wiped
	KeySuspended  KeyState = "suspended"  // refused, and nothing is left in memory
	KeyRestoring  KeyState = "restoring"  // it answered again: the data is being opened
	KeyFailed     KeyState = "failed"     // it answered, but what it opens could not be brought up
)

// KeyEvent is what can happen to a key.
type KeyEvent string

// The events.
const (
	KeyToPlatform KeyEvent = "changed to platform" // a change of KEK is durable
	KeyToCustomer KeyEvent = "changed to customer"
	KeyToCluster  KeyEvent = "changed to cluster" // of a database
	KeyRefused    KeyEvent = "refused"            // a definite refusal, or silence beyond the grace period
	KeyWiped      KeyEvent = "wiped"              // child, plaintext and keys are gone
	KeyAnswered   KeyEvent = "answered"           // it unwrapped again
	KeyUp         KeyEvent = "up"                 // the data answers again
	KeyBroke      KeyEvent = "broke"              // bringing it up went wrong for another reason than the key
)

// keyMoves is the whole machine. A pair that is not here cannot happen.
var keyMoves = map[KeyState]map[KeyEvent]KeyState{
	KeyPlatform: {KeyToPlatform: KeyPlatform, KeyToCustomer: KeyCustomer, KeyUp: KeyPlatform},
	KeyCluster:  {KeyToCluster: KeyCluster, KeyToCustomer: KeyCustomer},
	KeyCustomer: {KeyToPlatform: KeyPlatform, KeyToCluster: KeyCluster, KeyToCustomer: KeyCustomer, KeyRefused: KeySuspending, KeyUp: KeyCustomer},
	// A change that was under way when the old key was refused still counts.
	KeySuspending: {KeyWiped: KeySuspended, KeyRefused: KeySuspending, KeyToCustomer: KeySuspending, KeyToPlatform: KeySuspending, KeyToCluster: KeySuspending},
	KeySuspended:  {KeyRefused: KeySuspended, KeyAnswered: KeyRestoring, KeyToCustomer: KeySuspended, KeyToPlatform: KeySuspended, KeyToCluster: KeySuspended},
	KeyRestoring:  {KeyUp: KeyCustomer, KeyRefused: KeySuspending, KeyBroke: KeyFailed, KeyToCustomer: KeyRestoring, KeyToPlatform: KeyRestoring, KeyToCluster: KeyRestoring},
	KeyFailed:     {KeyAnswered: KeyRestoring, KeyRefused: KeySuspending, KeyBroke: KeyFailed, KeyToCustomer: KeyFailed, KeyToPlatform: KeyFailed, KeyToCluster: KeyFailed},
}

// Next is the state after an event. An event that cannot happen in this state
// is an error, and the state stays.
func (s KeyState) Next(e KeyEvent) (KeyState, error) {
	to, ok := keyMoves[s][e]
	if !ok {
		return s, fmt.Errorf("a key that is %s cannot be %s", s, e)
	}
	return to, nil
}

// KeyStateOf is the state of a key about which nothing is known yet.
func KeyStateOf(kek KEK) KeyState {
	if kek.Kind == KindCustomer {
		return KeyCustomer
	}
	return KeyPlatform
}
