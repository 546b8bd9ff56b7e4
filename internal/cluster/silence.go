package cluster

import (
	"errors"
	"fmt"
	"time"

	"github.com/kustos-io/kustos/internal/envelope"
)

// silence says that nobody could say anything about a key for longer than the
// grace period. It counts from the first question that was not answered, not
// from the last answer: time in which nobody asked, because the clock was moved
// or the machine slept, is no silence.
type silence struct {
	vault  string // URI of the vault that was asked
	lasted time.Duration
	cause  error // of the last question
}

func (e *silence) Error() string {
	return fmt.Sprintf("vault %s has not answered for %v: %v", e.vault, e.lasted.Round(time.Second), e.cause)
}

// Unwrap is the cause.
func (e *silence) Unwrap() error { return e.cause }

// since begins a row of unanswered questions at asked, or goes on with it, and
// tells how long it has lasted.
func since(unheard *time.Time, asked, now time.Time) time.Duration {
	if unheard.IsZero() {
		*unheard = asked
	}
	return now.Sub(*unheard)
}

// away is the error that answers requests while a key is: of is "cluster" or
// "database".
func away(of string, cause error) *SuspendedError {
	var revoked *envelope.RevokedError
	var silent *silence
	switch {
	case errors.As(cause, &revoked):
		return &SuspendedError{Code: revoked.Code, VaultURI: revoked.VaultURI, Reason: revoked.Reason}
	case errors.As(cause, &silent):
		return &SuspendedError{Code: codeUnavailable, VaultURI: silent.vault,
			Reason: fmt.Sprintf("the key of the %s cannot be reached: vault %s has not answered for %v", of, silent.vault, silent.lasted.Round(time.Second))}
	}
	return &SuspendedError{Code: codeUnavailable, Reason: "the key of the " + of + " cannot be reached"}
}

// codeUnavailable is the code of a suspension that no revocation caused.
const codeUnavailable = "KeyVaultUnavailable"
