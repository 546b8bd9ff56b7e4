package directory

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// Buckets. Keys are lower-cased ids; the two index buckets map another id of
// the same thing to its object id.
const (
	bucketInstance       = "directory.instance"       // "instance"
	bucketSigningKeys    = "directory.signingkeys"    // key id
	bucketApplications   = "directory.applications"   // object id of the application
	bucketAppIDs         = "directory.appids"         // application (client) id → application's object id
	bucketPrincipals     = "directory.principals"     // object id
	bucketClientIDs      = "directory.clientids"      // client id → principal's object id
	bucketUsers          = "directory.users"          // object id
	bucketUPNs           = "directory.upns"           // user principal name → object id
	bucketGroups         = "directory.groups"         // object id
	bucketSessions       = "directory.refreshtokens"  // hash of a refresh token
	bucketAssertions     = "directory.assertions"     // hash of client id and jti → what was signed
	bucketIdentityOwners = "directory.identityowners" // ARM id of the owner → identity's object id
)

// ErrNotFound means that the directory holds no such application, principal or identity.
var ErrNotFound = errors.New("not found in the directory")

// ErrIdentityExists means that the resource already owns an identity. A new
// one must not take it over silently: it may have rights of its own.
var ErrIdentityExists = errors.New("the resource already has an identity")

// instanceRecord is what makes this tenant this tenant. ClientSecret stands
// here in clear (under the store's seal) because every start writes the same
// connection.json.
type instanceRecord struct {
	TenantID       string    `json:"tenantId"`
	SubscriptionID string    `json:"subscriptionId"`
	Created        time.Time `json:"created"`
	ClientID       string    `json:"clientId,omitempty"`
	ClientSecret   string    `json:"clientSecret,omitempty"`
	ObjectID       string    `json:"objectId,omitempty"`
}

// application is a registration: what holds credentials.
type application struct {
	ID           string        `json:"id"`
	AppID        string        `json:"appId"`
	DisplayName  string        `json:"displayName"`
	Created      time.Time     `json:"created"`
	Passwords    []password    `json:"passwords,omitempty"`
	Certificates []certificate `json:"certificates,omitempty"`
	Federated    []federated   `json:"federated,omitempty"`
	// Audience is signInAudience: "" for the tenant alone.
	Audience string `json:"signInAudience,omitempty"`
	// IdentifierURIs are names of the application as a resource.
	IdentifierURIs []string `json:"identifierUris,omitempty"`
	// PublicClient lets the application use the grants of people without a
	// proof of its own; the redirect URIs are where codes may be sent.
	PublicClient    bool     `json:"publicClient,omitempty"`
	PublicRedirects []string `json:"publicRedirects,omitempty"`
	WebRedirects    []string `json:"webRedirects,omitempty"`
}

// password is one client secret, kept as a hash.
type password struct {
	KeyID       string     `json:"keyId"`
	DisplayName string     `json:"displayName,omitempty"`
	Hint        string     `json:"hint"`
	Secret      secretHash `json:"secret"`
	Start       time.Time  `json:"start"`
	End         time.Time  `json:"end"`
}

type principalKind string

const (
	kindApplication    principalKind = "Application"
	kindSystemAssigned principalKind = "SystemAssigned"
	kindUserAssigned   principalKind = "UserAssigned"
)

// principal is a service principal: what rights are given to.
type principal struct {
	ObjectID    string        `json:"objectId"`
	AppID       string        `json:"appId"`
	DisplayName string        `json:"displayName"`
	Kind        principalKind `json:"kind"`
	Created     time.Time     `json:"created"`
	// OwnerTenantID is the tenant of this server that registered the application,
	// "" when it is this one.
	OwnerTenantID string `json:"ownerTenantId,omitempty"`
	// Audience is the application's signInAudience when the principal was made or
	// its application last changed here; "" for one tenant alone.
	Audience string `json:"signInAudience,omitempty"`
	// ResourceID is the owner of a managed identity, as written by ARM.
	ResourceID string `json:"resourceId,omitempty"`
	// IMDSSecret opens the metadata endpoint for a user-assigned identity;
	// empty for everything else, so that nothing can match it.
	IMDSSecret string `json:"imdsSecret,omitempty"`
}

func (p principal) managed() bool { return p.Kind != kindApplication }

func key(id string) string { return strings.ToLower(id) }

// read is store.GetJSON with the directory's own not-found error.
func read[T any](tx store.Tx, bucket, id string) (T, error) {
	v, err := store.GetJSON[T](tx, bucket, key(id))
	if errors.Is(err, store.ErrNotFound) {
		return v, fmt.Errorf("%q: %w", id, ErrNotFound)
	}
	return v, err
}

func readIndex(tx store.Tx, bucket, id string) (string, error) {
	return read[string](tx, bucket, id)
}

func applicationByAppID(tx store.Tx, appID string) (application, error) {
	id, err := readIndex(tx, bucketAppIDs, appID)
	if err != nil {
		return application{}, err
	}
	return read[application](tx, bucketApplications, id)
}

func principalByAppID(tx store.Tx, appID string) (principal, error) {
	id, err := readIndex(tx, bucketClientIDs, appID)
	if err != nil {
		return principal{}, err
	}
	return read[principal](tx, bucketPrincipals, id)
}

func putApplication(tx store.Tx, a application) error {
	if err := store.PutJSON(tx, bucketApplications, key(a.ID), a); err != nil {
		return err
	}
	return store.PutJSON(tx, bucketAppIDs, key(a.AppID), a.ID)
}

func putPrincipal(tx store.Tx, p principal) error {
	if err := store.PutJSON(tx, bucketPrincipals, key(p.ObjectID), p); err != nil {
		return err
	}
	return store.PutJSON(tx, bucketClientIDs, key(p.AppID), p.ObjectID)
}

func deletePrincipal(tx store.Tx, p principal) error {
	if err := tx.Delete(bucketClientIDs, key(p.AppID)); err != nil {
		return fmt.Errorf("delete client id of principal %s: %w", p.ObjectID, err)
	}
	if err := tx.Delete(bucketPrincipals, key(p.ObjectID)); err != nil {
		return fmt.Errorf("delete principal %s: %w", p.ObjectID, err)
	}
	return leaveGroups(tx, p.ObjectID)
}

// deleteApplication removes the registration and its service principal.
func deleteApplication(tx store.Tx, a application) error {
	p, err := principalByAppID(tx, a.AppID)
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return err
	default:
		if err := deletePrincipal(tx, p); err != nil {
			return err
		}
	}
	if err := tx.Delete(bucketAppIDs, key(a.AppID)); err != nil {
		return fmt.Errorf("delete app id of application %s: %w", a.ID, err)
	}
	if err := tx.Delete(bucketApplications, key(a.ID)); err != nil {
		return fmt.Errorf("delete application %s: %w", a.ID, err)
	}
	return nil
}

// newPassword makes a client secret; the text is returned once and not kept.
func newPassword(displayName string, start, end time.Time) (password, Secret) {
	secret := newSecret()
	return password{KeyID: ids.NewGUID(), DisplayName: displayName, Hint: secret.Reveal()[:3], Secret: hashSecret(secret), Start: start, End: end}, secret
}
