package vault

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

// area is what a permission is about.
type area string

const (
	areaKeys    area = "keys"
	areaSecrets area = "secrets"
)

// right is one permission in both models, as three words: the area, the access
// policy's name, and the data action below Microsoft.KeyVault/vaults/. A vault
// goes by the second or by the third, never by both.
type right string

// The rights on keys and secrets. Reading a deleted secret shows no value, so in
// RBAC terms it is metadata.
const (
	keyCreate        right = "keys create keys/create/action"
	keyImport        right = "keys import keys/import/action"
	keyGet           right = "keys get keys/read"
	keyList          right = "keys list keys/read"
	keyUpdate        right = "keys update keys/update/action"
	keyDelete        right = "keys delete keys/delete"
	keyRecover       right = "keys recover keys/recover/action"
	keyPurge         right = "keys purge keys/purge/action"
	keyBackup        right = "keys backup keys/backup/action"
	keyRestore       right = "keys restore keys/restore/action"
	keyRotate        right = "keys rotate keys/rotate/action"
	keyRelease       right = "keys release keys/release/action"
	keyGetPolicy     right = "keys getrotationpolicy keyrotationpolicies/read"
	keySetPolicy     right = "keys setrotationpolicy keyrotationpolicies/write"
	secretGet        right = "secrets get secrets/getSecret/action"
	secretList       right = "secrets list secrets/readMetadata/action"
	secretSet        right = "secrets set secrets/setSecret/action"
	secretUpdate     right = "secrets set secrets/update/action"
	secretDelete     right = "secrets delete secrets/delete"
	secretRecover    right = "secrets recover secrets/recover/action"
	secretPurge      right = "secrets purge secrets/purge/action"
	secretBackup     right = "secrets backup secrets/backup/action"
	secretRestore    right = "secrets restore secrets/restore/action"
	secretGetDeleted right = "secrets get secrets/readMetadata/action"
)

func (r right) word(i int) string {
	rest := string(r)
	for range i {
		_, rest, _ = strings.Cut(rest, " ")
	}
	word, _, _ := strings.Cut(rest, " ")
	return word
}

func (r right) area() area         { return area(r.word(0)) }
func (r right) permission() string { return r.word(1) }
func (r right) action() string     { return "Microsoft.KeyVault/vaults/" + r.word(2) }

// Caller is who makes a data-plane call, and from where.
type Caller struct {
	authz.Principal
	// Address is the client's address; the zero value when it is not known.
	Address netip.Addr
	// Service marks a connection of our own services; it is looked for only where
	// the vault is closed.
	Service bool
}

// identity is how the data plane prints a caller in refusals. The application
// of a person is the one through which he signed in.
func (c Caller) identity() string {
	iss := c.Issuer
	if iss == "" {
		iss = "https://sts.windows.net/" + c.TenantID + "/"
	}
	return fmt.Sprintf("appid=%s;oid=%s;iss=%s", c.Application(), c.ObjectID, iss)
}

// trusted reports whether the caller is one of the platform's own services: an
// analytics cluster speaking with its system identity, whose token nobody else
// can have, or code inside the server.
func (c Caller) trusted() bool {
	if c.Service || c.FirstParty != "" {
		return true
	}
	id, err := ids.Parse(c.Identity)
	return c.Identity != "" && err == nil && strings.EqualFold(id.Type(), "Microsoft.Kusto/clusters")
}

// closed reports whether the vault has a firewall that refuses anybody.
func (v *Vault) closed() bool {
	return v.PublicDisabled || v.NetworkACLs != nil && v.NetworkACLs.DefaultAction == "Deny"
}

// firewall evaluates publicNetworkAccess and networkAcls.
func (v *Vault) firewall(c Caller) error {
	if !v.closed() || c.trusted() && (v.NetworkACLs == nil || v.NetworkACLs.Bypass == "AzureServices") {
		return nil
	}
	if v.PublicDisabled {
		return azerr.VaultForbiddenByConnection(c.identity(), v.Name, v.Location)
	}
	for _, rule := range v.NetworkACLs.IPRules {
		if prefix, err := parsePrefix(rule.Value); err == nil && prefix.Contains(c.Address.Unmap()) {
			return nil
		}
	}
	address := "unknown"
	if c.Address.IsValid() {
		address = c.Address.String()
	}
	return azerr.VaultForbiddenByFirewall(address, c.identity(), v.Name, v.Location)
}

// permit asks the vault's access policies or, in an RBAC vault, the role
// assignments at the scope of the vault or of the one object. rule is what
// decided.
func (s *Service) permit(ctx context.Context, v *Vault, c Caller, r right, object string) (rule string, err error) {
	if !v.RBAC {
		if v.grants(c.Principal, r.area(), r.permission()) {
			return "access policy of " + c.ObjectID, nil
		}
		return "no access policy grants it", azerr.VaultAccessDenied(c.identity(), string(r.area()), r.permission(), v.Name, v.Location)
	}
	scope := objectScope(v, r.area(), object)
	action := r.action()
	decision, err := s.Authorizer.AuthorizeData(ctx, c.Principal, action, scope)
	if err != nil {
		return decision.Rule, fmt.Errorf("authorise %s on vault %s: %w", action, v.Name, err)
	}
	if !decision.Allowed {
		return decision.Rule, azerr.VaultForbiddenByRbac("name="+c.Name+";"+c.identity(), action, strings.ToLower(scope), v.Name, v.Location)
	}
	return decision.Rule, nil
}
