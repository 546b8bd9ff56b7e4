package azerr

import (
	"encoding/json"
	"errors"
	"net/http"
	"syscall"
)

// Error is an error as an Azure service writes it:
//
//	{"error":{"code","message","target"?,"details"?,"additionalInfo"?,"innererror"?}}
type Error struct {
	// Status is the HTTP status, 400..599.
	Status  int
	Code    string
	Message string
	Target  string
	Details []*Error
	// Info is ARM's additionalInfo, for example a TemplateViolation with its position.
	Info []Info
	// Inner is the vault's innererror.code ("AccessDenied", "KeyDisabled" …).
	Inner string
	// Header holds extra response headers (WWW-Authenticate, Retry-After …).
	Header http.Header
	cause  error
}

// Info is one element of additionalInfo.
type Info struct {
	Type string `json:"type"`
	Info any    `json:"info"`
}

// Error is "code: message".
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Unwrap is the inner cause, for the log only; it never reaches the wire.
func (e *Error) Unwrap() error { return e.cause }

// Because returns a copy of e that carries cause for the log.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

type wireError struct {
	Code    string       `json:"code"`
	Message string       `json:"message"`
	Target  string       `json:"target,omitempty"`
	Details []*wireError `json:"details,omitempty"`
	Info    []Info       `json:"additionalInfo,omitempty"`
	Inner   *wireInner   `json:"innererror,omitempty"`
}

type wireInner struct {
	Code string `json:"code"`
}

func (e *Error) wire() *wireError {
	w := &wireError{Code: e.Code, Message: e.Message, Target: e.Target, Info: e.Info}
	if e.Inner != "" {
		w.Inner = &wireInner{Code: e.Inner}
	}
	for _, d := range e.Details {
		w.Details = append(w.Details, d.wire())
	}
	return w
}

// MarshalJSON writes the error object without the "error" envelope, the form
// that stands inside deployments and operations.
func (e *Error) MarshalJSON() ([]byte, error) { return json.Marshal(e.wire()) }

// UnmarshalJSON reads what MarshalJSON wrote (a stored operation's error).
func (e *Error) UnmarshalJSON(data []byte) error {
	var w wireError
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	*e = *w.error()
	return nil
}

func (w *wireError) error() *Error {
	e := &Error{Status: http.StatusBadRequest, Code: w.Code, Message: w.Message, Target: w.Target, Info: w.Info}
	if w.Inner != nil {
		e.Inner = w.Inner.Code
	}
	for _, d := range w.Details {
		e.Details = append(e.Details, d.error())
	}
	return e
}

// From turns any error into a wire error: an *Error anywhere in the wrap tree
// as it is, a disk without room as 503, anything else as 500 InternalServerError
// whose text says nothing about the inside. It is nil for nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return DiskFull().Because(err)
	}
	return InternalServerError().Because(err)
}

// DiskFull is the answer to what has to be kept and cannot be.
func DiskFull() *Error {
	return &Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: "The disk of this server is full: it answers what needs no room, and changes nothing until there is space again."}
}

// InternalServerError is the answer to a defect of ours.
func InternalServerError() *Error {
	return &Error{Status: http.StatusInternalServerError, Code: "InternalServerError", Message: "The server encountered an internal error. The request id is in the x-ms-request-id header; the server's log has the cause."}
}
