// Package ast holds the syntax tree of a query.
//
// Script is a whole request text; Expr is an expression, scalar or tabular; Operator is one step behind a pipe. Every
// node knows its byte offset and prints itself back as query text that parses to the same tree.
//
// The package must never resolve a name or know a type beyond what the text says.
package ast
