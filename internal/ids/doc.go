// Package ids parses and prints the names of things: resource ids, scopes,
// GUIDs and locations. It is pure: no I/O, no clock, standard library only.
//
// Azure compares every segment of a resource id without case and answers with
// the casing of creation, so an ID keeps the text it was parsed from and offers
// [ID.Key] for look-ups.
package ids
