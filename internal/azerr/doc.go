// Package azerr holds Azure's wire errors: one constructor per documented
// code, with its message and HTTP status, so that code and status never drift
// apart. [From] is the only place where any other error becomes a wire error.
//
// Constructors live in one file per service: arm.go, vault.go, cmk.go … The
// Kusto data plane has an envelope of its own and maps from *Error itself.
package azerr
