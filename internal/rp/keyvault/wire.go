package keyvault

import (
	"time"

	"github.com/kustos-io/kustos/internal/vault"
)

// vaultBody is the body of PUT and PATCH. Read-only members (id, vaultUri,
// provisioningState …) have no field here: clients send back what they read,
// and it changes nothing.
type vaultBody struct {
	Location   string            `json:"location"`
	Tags       map[string]string `json:"tags"`
	Properties *vault.Input      `json:"properties"`
}

type vaultResource struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Type       string            `json:"type"`
	Location   string            `json:"location"`
	Tags       map[string]string `json:"tags"`
	SystemData *systemData       `json:"systemData,omitempty"`
	Properties vaultProperties   `json:"properties"`
}

type systemData struct {
	CreatedBy          string `json:"createdBy"`
	CreatedByType      string `json:"createdByType"`
	CreatedAt          string `json:"createdAt"`
	LastModifiedBy     string `json:"lastModifiedBy"`
	LastModifiedByType string `json:"lastModifiedByType"`
	LastModifiedAt     string `json:"lastModifiedAt"`
}

type vaultProperties struct {
	SKU                          vault.SKU            `json:"sku"`
	TenantID                     string               `json:"tenantId"`
	NetworkACLs                  *vault.NetworkACLs   `json:"networkAcls,omitempty"`
	AccessPolicies               []vault.AccessPolicy `json:"accessPolicies"`
	EnabledForDeployment         bool                 `json:"enabledForDeployment"`
	EnabledForDiskEncryption     bool                 `json:"enabledForDiskEncryption"`
	EnabledForTemplateDeployment bool                 `json:"enabledForTemplateDeployment"`
	EnableSoftDelete             bool                 `json:"enableSoftDelete"`
	SoftDeleteRetentionInDays    int                  `json:"softDeleteRetentionInDays,omitempty"`
	EnableRBACAuthorization      *bool                `json:"enableRbacAuthorization,omitempty"`
	EnablePurgeProtection        bool                 `json:"enablePurgeProtection,omitempty"`
	VaultURI                     string               `json:"vaultUri"`
	ProvisioningState            string               `json:"provisioningState"`
	PublicNetworkAccess          string               `json:"publicNetworkAccess,omitempty"`
}

// resource shapes a vault for an api-version: properties that the version does
// not know are left out.
func (p *rp) resource(v *vault.Vault, shape string) vaultResource {
	out := vaultResource{ID: v.ResourceID, Name: v.Name, Type: namespace + "/vaults", Location: v.Location, Tags: v.Tags,
		Properties: vaultProperties{SKU: v.SKU, TenantID: v.TenantID, AccessPolicies: v.AccessPolicies,
			EnabledForDeployment: v.EnabledForDeployment, EnabledForDiskEncryption: v.EnabledForDiskEncryption,
			EnabledForTemplateDeployment: v.EnabledForTemplateDeployment, EnableSoftDelete: v.SoftDelete,
			EnablePurgeProtection: v.PurgeProtection, VaultURI: p.Vault.URI(v), ProvisioningState: "Succeeded"}}
	if out.Tags == nil {
		out.Tags = map[string]string{}
	}
	if shape >= "2018-02-14" {
		out.Properties.NetworkACLs = v.NetworkACLs
	}
	if shape >= "2019-09-01" {
		out.Properties.SoftDeleteRetentionInDays = v.RetentionDays
		out.Properties.EnableRBACAuthorization = &v.RBAC
	}
	if shape >= "2021-10-01" {
		out.Properties.PublicNetworkAccess = "Enabled"
		if v.PublicDisabled {
			out.Properties.PublicNetworkAccess = "Disabled"
		}
		out.SystemData = &systemData{CreatedBy: v.CreatedBy.ID, CreatedByType: actorType(v.CreatedBy), CreatedAt: stamp(v.Created),
			LastModifiedBy: v.UpdatedBy.ID, LastModifiedByType: actorType(v.UpdatedBy), LastModifiedAt: stamp(v.Updated)}
	}
	return out
}

func actorType(a vault.Actor) string {
	switch {
	case a.Managed:
		return "ManagedIdentity"
	case a.User:
		return "User"
	}
	return "Application"
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

type policyBody struct {
	Properties *struct {
		AccessPolicies []vault.AccessPolicy `json:"accessPolicies"`
	} `json:"properties"`
}

type policyResource struct {
	ID         string           `json:"id"`
	Name       string           `json:"name,omitempty"`
	Type       string           `json:"type"`
	Properties policyProperties `json:"properties"`
}

type policyProperties struct {
	AccessPolicies []vault.AccessPolicy `json:"accessPolicies"`
}

type deletedResource struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Type       string            `json:"type"`
	Properties deletedProperties `json:"properties"`
}

type deletedProperties struct {
	VaultID                string            `json:"vaultId"`
	Location               string            `json:"location"`
	Tags                   map[string]string `json:"tags"`
	DeletionDate           string            `json:"deletionDate"`
	ScheduledPurgeDate     string            `json:"scheduledPurgeDate"`
	PurgeProtectionEnabled bool              `json:"purgeProtectionEnabled,omitempty"`
}

func deleted(v *vault.Vault) deletedResource {
	tags := v.Tags
	if tags == nil {
		tags = map[string]string{}
	}
	return deletedResource{
		ID:   "/subscriptions/" + v.Subscription + "/providers/" + namespace + "/locations/" + v.Location + "/deletedVaults/" + v.Name,
		Name: v.Name, Type: namespace + "/deletedVaults",
		Properties: deletedProperties{VaultID: v.ResourceID, Location: v.Location, Tags: tags,
			DeletionDate: v.Deleted.At.UTC().Format(time.RFC3339), ScheduledPurgeDate: v.Deleted.PurgeAt.UTC().Format(time.RFC3339),
			PurgeProtectionEnabled: v.PurgeProtection},
	}
}

type list struct {
	Value    any    `json:"value"`
	NextLink string `json:"nextLink,omitempty"`
}
