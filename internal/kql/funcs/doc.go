// Package funcs knows the scalar operators, scalar functions and aggregates of the language: their argument types,
// result types, result names, and the plan operation each becomes.
//
// Lookup finds a Scalar, LookupAggregate an Aggregate; Binary, Unary and Compare type the operators.
//
// The package must never accept arguments whose answer it cannot give exactly: it returns an error that says which
// argument of which function is not supported.
package funcs
