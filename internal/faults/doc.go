// Package faults misbehaves on purpose, so that what depends on a vault or a
// disk stays honest: a [Rule] says what goes wrong where, how often and how
// many times; an [Injector] holds the rules and applies them to requests on the
// key path ([Injector.Transport]) and to files being written ([Injector.Writer]).
//
// Without a rule it must change nothing. It must never make an answer better
// than it is: no rule turns a refusal into a permission. Every injection is
// logged at Warn; tokens and bodies never are.
package faults
