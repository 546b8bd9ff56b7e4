// Package authorization is the resource provider Microsoft.Authorization: role
// assignments and role definitions at every scope, the caller's permissions,
// and management locks, whose records are of package scope: the front door
// enforces them. [Provider] speaks ARM; the rules and the records are those of
// authz.Engine, which is also what decides.
//
// It must never store an assignment for a principal the directory does not
// hold, or accept a property (a condition) that the engine does not evaluate.
package authorization
