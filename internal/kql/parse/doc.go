// Package parse turns query text into a syntax tree.
//
// Script parses a whole request, Expr one expression. An Error names what was found, what is not understood, and where.
// Each tabular operator has its own parsing function in a file of its family.
//
// The package must never accept text it does not represent in the tree: hints are the only thing that is read and left
// out, because they cannot change an answer.
package parse
