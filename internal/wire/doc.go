// Package wire is the HTTP plumbing shared by every plane: request and
// correlation ids, JSON bodies in and out, and the headers every Azure answer
// carries. Standard library, ids and azerr only.
package wire
