package authz

// Principal is the caller of a request, taken from a verified token.
type Principal struct {
	TenantID string
	// ObjectID is the service principal's (or user's) object id: what access
	// policies and role assignments name.
	ObjectID string
	// AppID is the application (client) id.
	AppID string
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

// Decision is the answer to "may this principal do this here?".
type Decision struct {
	Allowed bool
	// Rule names what decided: a role assignment id, "owner of the subscription",
	// "no matching assignment" …
	Rule string
}
