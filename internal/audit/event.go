package audit

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Result says how an operation ended.
type Result string

// Allowed: it was done. Refused: authorisation, firewall, token or state of
// the key said no. Failed: it was admitted and something of ours broke, or the
// input was no good.
const (
	Allowed Result = "allowed"
	Refused Result = "refused"
	Failed  Result = "failed"
)

// Event is one line of the log. Empty members are left out.
type Event struct {
	// Sequence counts the events of an instance from 1; the log sets it.
	Sequence uint64 `json:"seq"`
	// Time is when the event was recorded, UTC; the log sets it when zero.
	Time time.Time `json:"time"`
	// Operation is what was asked: "keys/unwrapKey", "vaults/write",
	// "cluster/suspend", "authorize".
	Operation string `json:"operation"`
	Result    Result `json:"result"`
	Actor     Actor  `json:"actor"`
	// Scope is the ARM id of what it was asked of.
	Scope string `json:"scope,omitempty"`
	// Version is the version of the key or secret, when one was used or made.
	Version string `json:"version,omitempty"`
	// Rule is what decided: an access policy, a role assignment, the firewall.
	Rule string `json:"rule,omitempty"`
	// Algorithm is the cryptographic algorithm of a use of a key.
	Algorithm string `json:"algorithm,omitempty"`
	// Status and Code are the HTTP status and the error code of the answer.
	Status int    `json:"status,omitempty"`
	Code   string `json:"code,omitempty"`
	// Detail is a short remark from our own code, never a client's text.
	Detail        string `json:"detail,omitempty"`
	RequestID     string `json:"requestId,omitempty"`
	CorrelationID string `json:"correlationId,omitempty"`
}

// Actor is who asked. All members are identifiers; there is no token here.
type Actor struct {
	ObjectID string `json:"oid,omitempty"`
	// AppID is the application: the principal's own, or a person's client.
	AppID      string `json:"appid,omitempty"`
	TenantID   string `json:"tid,omitempty"`
	Identity   string `json:"identity,omitempty"`
	FirstParty string `json:"firstParty,omitempty"`
	Address    string `json:"address,omitempty"`
}

// maxText bounds every text of an event in bytes: what a client can put into a
// path must not fill the log.
const maxText = 512

// bounded shortens the texts and drops what is not printable, so that a line
// of the log stays one line.
func (e *Event) bounded() {
	for _, p := range []*string{&e.Operation, &e.Scope, &e.Version, &e.Rule, &e.Algorithm, &e.Code, &e.Detail, &e.RequestID, &e.CorrelationID,
		&e.Actor.ObjectID, &e.Actor.AppID, &e.Actor.TenantID, &e.Actor.Identity, &e.Actor.FirstParty, &e.Actor.Address} {
		*p = boundText(*p)
	}
}

func boundText(s string) string {
	if len(s) > maxText {
		cut := maxText
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	clean := func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return '?'
		}
		return r
	}
	return strings.Map(clean, s)
}
