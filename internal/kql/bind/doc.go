// Package bind resolves names and types: it turns syntax trees into plan nodes and typed expressions.
//
// Binder carries the state of one compilation; Scope holds let names; Row is what an expression can see of the row it
// is evaluated on. Tabular operators are bound by an Operators implementation the Binder is given, so that each can
// live in its own file elsewhere.
//
// The package must never guess: a name that does not resolve, a type that does not fit and a construct whose meaning is
// not certain are errors with their position.
package bind
