// Package eval evaluates template expressions. An [Env] says what an
// expression may see (parameters, variables, scope, loops, the live
// resources behind a [Runtime]); [Env.Eval] computes one expression,
// [Env.Node] a whole JSON subtree with expressions inside its strings.
//
// Every function family has a file of its own. if, and, or, coalesce evaluate
// only what they need; everything else evaluates its arguments eagerly, left
// to right. A function that is not in the table is refused by name. The
// package does no I/O and takes no clock: what needs the outside comes
// through Env.
package eval
