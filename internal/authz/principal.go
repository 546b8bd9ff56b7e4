package authz

import (
	"cmp"
	"slices"
	"strings"
)

// Principal is the caller of a request, taken from a verified token.
type Principal struct {
	TenantID string
	// ObjectID is the service principal's (or user's) object id: what access
	// policies and role assignments name.
	ObjectID string
	// AppID is the application (client) id of a service principal. It is empty
	// for a person: what an application may do, a person using it may not.
	AppID string
	// ClientAppID is the application through which a person signed in; it gives
	// no right by itself. Empty for a service principal.
	ClientAppID string
	// UPN is a person's user principal name ("ann@example.com"), empty for a
	// service principal. It is what people are called in errors and systemData.
	UPN string
	// Groups are the object ids of every group the principal is in, directly or
	// through other groups, when the token was verified.
	Groups []string
	// Issuer is the token's issuer, printed in the vault's refusals.
	Issuer string
	// Name is a display name for errors and logs; may be empty.
	Name string
	// Identity is the ARM id of the resource that owns a managed identity, "" for others.
	Identity string
	// FirstParty marks a call that one of our own services makes with its own
	// authority. No token carries it: only code inside the server can set it.
	FirstParty string
}

// Application is the id of the application that speaks: the principal's own, or
// the one through which a person signed in.
func (p Principal) Application() string { return cmp.Or(p.AppID, p.ClientAppID) }

// IsUser reports whether the principal is a person.
func (p Principal) IsUser() bool { return p.UPN != "" }

// Has reports whether id is the principal's object id or that of a group it is in.
func (p Principal) Has(id string) bool {
	return id != "" && (strings.EqualFold(id, p.ObjectID) || slices.ContainsFunc(p.Groups, func(g string) bool { return strings.EqualFold(g, id) }))
}

// objects are the ids that an assignment to this principal can name.
func (p Principal) objects() []string {
	if p.ObjectID == "" {
		return nil
	}
	return append([]string{p.ObjectID}, p.Groups...)
}

// Decision is the answer to "may this principal do this here?".
type Decision struct {
	Allowed bool
	// Rule names what decided: a role assignment id, "owner of the subscription",
	// "no matching assignment" …
	Rule string
}
