package ids

import "strings"

// Location is an Azure region in its normal form: lower case, no blanks
// ("westeurope"). Clients send either form; compare only normal forms.
type Location string

// ParseLocation brings "West Europe", "westeurope" or "WestEurope" to the normal form.
func ParseLocation(text string) Location {
	return Location(strings.ToLower(strings.ReplaceAll(text, " ", "")))
}

// locations maps the normal form to the display name; the list is the public
// regions in which Microsoft.Kusto and Microsoft.KeyVault are offered.
func locations() [][2]string {
	return [][2]string{
		{"australiacentral", "Australia Central"}, {"australiaeast", "Australia East"}, {"australiasoutheast", "Australia Southeast"},
		{"brazilsouth", "Brazil South"}, {"canadacentral", "Canada Central"}, {"canadaeast", "Canada East"},
		{"centralindia", "Central India"}, {"centralus", "Central US"}, {"eastasia", "East Asia"},
		{"eastus", "East US"}, {"eastus2", "East US 2"}, {"francecentral", "France Central"}, {"francesouth", "France South"},
		{"germanywestcentral", "Germany West Central"}, {"israelcentral", "Israel Central"}, {"italynorth", "Italy North"},
		{"japaneast", "Japan East"}, {"japanwest", "Japan West"}, {"koreacentral", "Korea Central"}, {"koreasouth", "Korea South"},
		{"mexicocentral", "Mexico Central"}, {"northcentralus", "North Central US"}, {"northeurope", "North Europe"},
		{"norwayeast", "Norway East"}, {"polandcentral", "Poland Central"}, {"qatarcentral", "Qatar Central"},
		{"southafricanorth", "South Africa North"}, {"southcentralus", "South Central US"}, {"southeastasia", "Southeast Asia"},
		{"southindia", "South India"}, {"spaincentral", "Spain Central"}, {"swedencentral", "Sweden Central"},
		{"switzerlandnorth", "Switzerland North"}, {"switzerlandwest", "Switzerland West"}, {"uaenorth", "UAE North"},
		{"uksouth", "UK South"}, {"ukwest", "UK West"}, {"westcentralus", "West Central US"}, {"westeurope", "West Europe"},
		{"westindia", "West India"}, {"westus", "West US"}, {"westus2", "West US 2"}, {"westus3", "West US 3"},
	}
}

// Locations lists the known regions in their normal form, sorted.
func Locations() []Location {
	all := locations()
	out := make([]Location, len(all))
	for i, l := range all {
		out[i] = Location(l[0])
	}
	return out
}

// Display is the region's display name ("West Europe"); an unknown region is
// returned as it is.
func (l Location) Display() string {
	for _, known := range locations() {
		if known[0] == string(l) {
			return known[1]
		}
	}
	return string(l)
}

// Known reports whether the region is one of [Locations].
func (l Location) Known() bool {
	for _, known := range locations() {
		if known[0] == string(l) {
			return true
		}
	}
	return false
}
