// Package value is the value model of the template language: JSON values with
// 64-bit integers kept apart from floating point, exact big integers, and
// objects that keep their member order and find members without case.
//
// A [Value] is one of nil, bool, int64, *big.Int, float64, string, []Value and
// *[Object]. Values are immutable once they have been handed on; code that
// wants to change one must copy it first. The package does no I/O.
package value
