// Package types names the scalar types of the query language and gives their literal and text forms.
//
// Type is the type of a column or expression. Datetimes are signed counts of 100 ns ticks since 0001-01-01T00:00:00Z,
// timespans are signed counts of the same ticks; every other package of the compiler speaks in ticks.
//
// The package must never read a clock, and parsing must never fall back to a guess: text that is no value of the type
// is reported as such.
package types
