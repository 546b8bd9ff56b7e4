// Package drill rehearses what happens to a customer's key, on a fresh
// temporary server and over the public APIs only, and reports what was seen:
// [Run] runs drills, each fills a [Result] with a time line, measured delays
// and a watch of what a client of the cluster was answered all the while.
//
// A drill must never say more than it has seen: a step that does not hold fails
// it. It must never touch an instance that it did not make itself.
package drill
