// Package management is the provider of Microsoft.Management: the tree of
// management groups, the subscriptions in them, and the lists of entities. The
// records are of package scope, where the authorizer reads them, too: a role at
// a management group reaches everything in it from the moment of the move.
//
// It must never let a move give a right that the mover could not have given:
// whoever puts a subscription or a group elsewhere must be allowed to manage
// access to it.
package management
