// Package ops binds the tabular operators: each turns a bound table and its syntax into a bound table.
//
// Table implements bind.Operators. An operator lives in the file of its name.
//
// The package must never lose the order its input has unless the operator's definition loses it, and must never use a
// column by name once it is bound.
package ops
