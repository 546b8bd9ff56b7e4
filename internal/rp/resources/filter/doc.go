// Package filter reads and evaluates the $filter of resource lists: the part
// of OData that Azure's clients send. An [Expr] is parsed once ([Parse]),
// prints itself back, and decides about one [Subject] at a time. It is pure,
// and refuses what it does not know, with the position: a list that ignored a
// filter would be a wrong answer.
package filter
