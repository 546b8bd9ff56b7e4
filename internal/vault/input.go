package vault

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

// Input is what a client sends to make or change a vault; nil means that it
// said nothing (or null). Read-only properties have no field: whatever a client
// sends back of them is ignored.
type Input struct {
	TenantID        *string         `json:"tenantId"`
	SKU             *SKU            `json:"sku"`
	AccessPolicies  *[]AccessPolicy `json:"accessPolicies"`
	Deployment      *bool           `json:"enabledForDeployment"`
	DiskEncryption  *bool           `json:"enabledForDiskEncryption"`
	TemplateDeploy  *bool           `json:"enabledForTemplateDeployment"`
	SoftDelete      *bool           `json:"enableSoftDelete"`
	RetentionDays   *int            `json:"softDeleteRetentionInDays"`
	RBAC            *bool           `json:"enableRbacAuthorization"`
	CreateMode      *string         `json:"createMode"`
	PurgeProtection *bool           `json:"enablePurgeProtection"`
	NetworkACLs     *NetworkACLs    `json:"networkAcls"`
	PublicAccess    *string         `json:"publicNetworkAccess"`
}

// recover reports whether the client asks for createMode=recover.
func (in Input) recover() (bool, error) {
	if in.CreateMode == nil || strings.EqualFold(*in.CreateMode, "default") || *in.CreateMode == "" {
		return false, nil
	}
	if strings.EqualFold(*in.CreateMode, "recover") {
		return true, nil
	}
	return false, azerr.VaultInvalidValue("createMode")
}

// apply puts what the client said onto v and checks it. The one-way rules are
// applied by the caller before: here every value is already permitted.
func (in Input) apply(v *Vault) error {
	if in.TenantID != nil {
		if !ids.IsGUID(*in.TenantID) {
			return azerr.VaultInvalidValue("tenantId")
		}
		v.TenantID = strings.ToLower(*in.TenantID)
	}
	if in.SKU != nil {
		if !strings.EqualFold(in.SKU.Family, "A") {
			return azerr.VaultInvalidValue("sku.family")
		}
		if !strings.EqualFold(in.SKU.Name, "standard") && !strings.EqualFold(in.SKU.Name, "premium") {
			return azerr.VaultSkuNotSupported(in.SKU.Name)
		}
		v.SKU = SKU{Family: "A", Name: strings.ToLower(in.SKU.Name)}
	}
	if in.AccessPolicies != nil {
		v.AccessPolicies = slices.Clone(*in.AccessPolicies)
	}
	for i := range v.AccessPolicies {
		if err := checkPolicy(&v.AccessPolicies[i], v.TenantID); err != nil {
			return err
		}
	}
	if len(v.AccessPolicies) > maxPolicies {
		return azerr.VaultInvalidValue("accessPolicies")
	}
	setBool(&v.EnabledForDeployment, in.Deployment)
	setBool(&v.EnabledForDiskEncryption, in.DiskEncryption)
	setBool(&v.EnabledForTemplateDeployment, in.TemplateDeploy)
	setBool(&v.RBAC, in.RBAC)
	if in.NetworkACLs != nil {
		acls, err := checkACLs(*in.NetworkACLs)
		if err != nil {
			return err
		}
		v.NetworkACLs = &acls
	}
	if in.PublicAccess != nil && *in.PublicAccess != "" {
		switch {
		case strings.EqualFold(*in.PublicAccess, "Enabled"):
			v.PublicDisabled = false
		case strings.EqualFold(*in.PublicAccess, "Disabled"):
			v.PublicDisabled = true
		default:
			return azerr.VaultInvalidValue("publicNetworkAccess")
		}
	}
	return nil
}

func setBool(to *bool, from *bool) {
	if from != nil {
		*to = *from
	}
}

// applyProtection applies the properties that only ever move one way. create
// tells a new vault; oldAPI that the request's api-version still allows a vault
// without soft delete.
func (in Input) applyProtection(v *Vault, create, oldAPI bool) error {
	if in.PurgeProtection != nil && !*in.PurgeProtection {
		return azerr.VaultPurgeProtectionFixed()
	}
	switch {
	case create:
		v.SoftDelete = in.SoftDelete == nil || *in.SoftDelete
		if !v.SoftDelete && !oldAPI {
			return azerr.VaultSoftDeleteFixed()
		}
	case in.SoftDelete != nil && *in.SoftDelete:
		v.SoftDelete = true
	case in.SoftDelete != nil && v.SoftDelete:
		return azerr.VaultSoftDeleteFixed()
	}
	if in.RetentionDays != nil && v.SoftDelete {
		days := *in.RetentionDays
		if v.RetentionDays != 0 && days != v.RetentionDays {
			return azerr.VaultRetentionFixed()
		}
		if days < minRetention || days > maxRetention {
			return azerr.VaultInvalidValue("softDeleteRetentionInDays")
		}
		v.RetentionDays = days
	}
	if v.SoftDelete && v.RetentionDays == 0 {
		v.RetentionDays = maxRetention
	}
	if in.PurgeProtection != nil {
		if !v.SoftDelete {
			return azerr.VaultBadRequest(`The property "enablePurgeProtection" can be set only when "enableSoftDelete" is true.`)
		}
		v.PurgeProtection = true
	}
	return nil
}

// checkTags enforces ARM's limits for vaults: 15 pairs.
func checkTags(tags map[string]string) error {
	if len(tags) > 15 {
		return azerr.VaultBadRequest(fmt.Sprintf("A vault can have at most 15 tags; %d were given.", len(tags)))
	}
	return nil
}

func checkACLs(in NetworkACLs) (NetworkACLs, error) {
	out := NetworkACLs{Bypass: "AzureServices", DefaultAction: "Allow", IPRules: []IPRule{}, VirtualNetworkRules: []VirtualNetworkRule{}}
	switch {
	case in.Bypass == "" || strings.EqualFold(in.Bypass, "AzureServices"):
	case strings.EqualFold(in.Bypass, "None"):
		out.Bypass = "None"
	default:
		return out, azerr.VaultInvalidValue("networkAcls.bypass")
	}
	switch {
	case in.DefaultAction == "" || strings.EqualFold(in.DefaultAction, "Allow"):
	case strings.EqualFold(in.DefaultAction, "Deny"):
		out.DefaultAction = "Deny"
	default:
		return out, azerr.VaultInvalidValue("networkAcls.defaultAction")
	}
	for _, r := range in.IPRules {
		prefix, err := parsePrefix(r.Value)
		if err != nil {
			return out, azerr.VaultInvalidValue("networkAcls.ipRules")
		}
		out.IPRules = append(out.IPRules, IPRule{Value: prefix.String()})
	}
	for _, r := range in.VirtualNetworkRules {
		if id, err := ids.Parse(r.ID); err != nil || !strings.EqualFold(id.Type(), "Microsoft.Network/virtualNetworks/subnets") {
			return out, azerr.VaultInvalidValue("networkAcls.virtualNetworkRules")
		}
		r.ID = strings.ToLower(r.ID)
		out.VirtualNetworkRules = append(out.VirtualNetworkRules, r)
	}
	return out, nil
}

// parsePrefix reads an IPv4 address or CIDR; an address becomes a /32.
func parsePrefix(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		text += "/32"
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, err
	}
	if !p.Addr().Is4() {
		return p, fmt.Errorf("%s is not IPv4", text)
	}
	return p, nil
}
