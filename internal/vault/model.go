package vault

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/authz"
)

// Vault is one vault as it is stored. Names are unique over all subscriptions.
type Vault struct {
	// Incarnation tells a vault from an earlier one of the same name; keys and
	// secrets hang below it.
	Incarnation   string
	Name          string // as created
	ResourceID    string // as created
	Subscription  string
	ResourceGroup string
	Location      string // normal form
	TenantID      string
	SKU           SKU
	Tags          map[string]string

	AccessPolicies []AccessPolicy
	// RBAC switches from access policies to role assignments.
	RBAC bool

	EnabledForDeployment         bool
	EnabledForDiskEncryption     bool
	EnabledForTemplateDeployment bool

	SoftDelete bool
	// RetentionDays is 7..90, 0 without soft delete.
	RetentionDays   int
	PurgeProtection bool

	// NetworkACLs is nil when it was never set: everything may connect.
	NetworkACLs *NetworkACLs
	// PublicDisabled is publicNetworkAccess=Disabled.
	PublicDisabled bool

	Created, Updated     time.Time
	CreatedBy, UpdatedBy Actor

	// Deleted is set while the vault is soft-deleted.
	Deleted *Deletion
}

// SKU is {family A, name standard|premium}.
type SKU struct {
	Family string `json:"family"`
	Name   string `json:"name"`
}

// Premium vaults may hold keys of the -HSM types.
func (s SKU) Premium() bool { return strings.EqualFold(s.Name, "premium") }

// Actor is who made or changed a resource, for systemData.
type Actor struct {
	ID string
	// Managed tells a managed identity from an application.
	Managed bool
	// User tells a person, whose ID is the user principal name.
	User bool
}

func actorOf(p authz.Principal) Actor {
	switch {
	case p.FirstParty != "":
		return Actor{ID: p.FirstParty}
	case p.IsUser():
		return Actor{ID: p.UPN, User: true}
	case p.AppID != "":
		return Actor{ID: p.AppID, Managed: p.Identity != ""}
	default:
		return Actor{ID: p.ObjectID, Managed: p.Identity != ""}
	}
}

// Deletion says when something was soft-deleted and when it goes for good.
type Deletion struct {
	At      time.Time
	PurgeAt time.Time
}

// AccessPolicy grants permissions to one identity. The JSON form is the wire's.
type AccessPolicy struct {
	TenantID      string      `json:"tenantId"`
	ObjectID      string      `json:"objectId"`
	ApplicationID string      `json:"applicationId,omitempty"`
	Permissions   Permissions `json:"permissions"`
}

// Permissions are names as they were sent; they compare without case.
type Permissions struct {
	Keys         []string `json:"keys"`
	Secrets      []string `json:"secrets"`
	Certificates []string `json:"certificates"`
	Storage      []string `json:"storage,omitempty"`
}

func (p *Permissions) lists() [4]*[]string {
	return [4]*[]string{&p.Keys, &p.Secrets, &p.Certificates, &p.Storage}
}

func (p Permissions) empty() bool {
	return len(p.Keys)+len(p.Secrets)+len(p.Certificates)+len(p.Storage) == 0
}

// same reports whether two entries name the same identity.
func (a AccessPolicy) same(b AccessPolicy) bool {
	return strings.EqualFold(a.TenantID, b.TenantID) && strings.EqualFold(a.ObjectID, b.ObjectID) && strings.EqualFold(a.ApplicationID, b.ApplicationID)
}

// NetworkACLs is the data plane's firewall. The JSON form is the wire's.
type NetworkACLs struct {
	Bypass              string               `json:"bypass"`
	DefaultAction       string               `json:"defaultAction"`
	IPRules             []IPRule             `json:"ipRules"`
	VirtualNetworkRules []VirtualNetworkRule `json:"virtualNetworkRules"`
}

// IPRule admits one IPv4 prefix.
type IPRule struct {
	Value string `json:"value"`
}

// VirtualNetworkRule admits a subnet. There are no virtual networks here, so
// such a rule is kept and admits nobody.
type VirtualNetworkRule struct {
	ID                               string `json:"id"`
	IgnoreMissingVnetServiceEndpoint bool   `json:"ignoreMissingVnetServiceEndpoint,omitempty"`
}

// Host is the vault's name under its DNS suffix, in lower case.
func (v *Vault) Host() string { return strings.ToLower(v.Name) }

// clone is a deep enough copy: what callers may keep without sharing slices.
func (v Vault) clone() Vault {
	v.Tags = maps.Clone(v.Tags)
	v.AccessPolicies = slices.Clone(v.AccessPolicies)
	return v
}

// RecoveryLevel is what a key or secret of this vault shows: the level and the
// days a deleted one can be recovered.
func (v *Vault) RecoveryLevel() (level string, days int) {
	if !v.SoftDelete {
		return "Purgeable", 0
	}
	level = "Recoverable"
	if v.RetentionDays < maxRetention {
		level = "CustomizedRecoverable"
	}
	if !v.PurgeProtection {
		level += "+Purgeable"
	}
	return level, v.RetentionDays
}

const (
	minRetention = 7
	maxRetention = 90
)
