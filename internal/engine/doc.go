// Package engine is the parent's side of the query engine, which runs in a
// child process of the same binary, one per running cluster. [Rows] is a
// query's result; the types here say what a child can be asked to do.
//
// A child must never be given a key, a token or a path: it gets memfds that
// hold plaintext of one cluster, SQL that the compiler wrote, and parameters.
// Its crash is an error of that cluster only, and killing it is the wipe.
package engine
