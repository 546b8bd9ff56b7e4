// Package kql compiles query text into SQL for an engine, and parses control commands.
//
// Compile goes from tokens to a syntax tree, to bound tables of typed expressions over numbered columns, to SQL: the
// packages token, parse, ast, bind, ops, funcs, plan and sqlgen in that order. Env is all a query can see of the
// outside; Program is what it becomes. ParseCommand turns text that begins with a dot into a Command.
//
// The package does no I/O, takes no clock and gives the same answer for the same input. It must never answer
// approximately: what it cannot compile exactly is an *Error with a position, and no string of a query ever becomes
// part of SQL text.
package kql
