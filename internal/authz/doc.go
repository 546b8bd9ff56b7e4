// Package authz decides who may do what. [Principal] is a caller whose token
// was verified; an [Authorizer] answers allow or deny with the rule that
// decided. [Engine] is the one authorizer of every plane: built-in role
// definitions by their public ids, custom ones and role assignments in the
// store, inheritance from a scope to everything below it, from the management
// groups above down to a single key.
//
// Everything that is not granted is denied. The package must never allow
// because something could not be read, and must never let a directory right
// follow from a right over Azure resources or the reverse.
package authz
