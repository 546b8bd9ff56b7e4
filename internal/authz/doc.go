// Package authz decides who may do what. [Principal] is a caller whose token
// was verified; an [Authorizer] answers allow or deny with the rule that
// decided. Everything that is not granted is denied.
package authz
