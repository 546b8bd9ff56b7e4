package kusto

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/kustos-io/kustos/internal/azerr"
)

// sku is the size of a cluster. Capacity is nil only in a request.
type sku struct {
	Name     string `json:"name"`
	Tier     string `json:"tier"`
	Capacity *int   `json:"capacity,omitempty"`
}

const devPrefix = "Dev(No SLA)_"

// skuNames lists the published sizes; the wire allows others of the same form.
func skuNames() []string {
	return []string{
		"Dev(No SLA)_Standard_D11_v2", "Dev(No SLA)_Standard_E2a_v4", "Standard_D11_v2", "Standard_D12_v2", "Standard_D13_v2", "Standard_D14_v2",
		"Standard_D16d_v5", "Standard_D32d_v4", "Standard_D32d_v5", "Standard_DS13_v2+1TB_PS", "Standard_DS13_v2+2TB_PS", "Standard_DS14_v2+3TB_PS",
		"Standard_DS14_v2+4TB_PS", "Standard_E2a_v4", "Standard_E4a_v4", "Standard_E8a_v4", "Standard_E16a_v4", "Standard_E2ads_v5", "Standard_E4ads_v5",
		"Standard_E8ads_v5", "Standard_E16ads_v5", "Standard_E2d_v4", "Standard_E4d_v4", "Standard_E8d_v4", "Standard_E16d_v4", "Standard_E2d_v5",
		"Standard_E4d_v5", "Standard_E8d_v5", "Standard_E16d_v5", "Standard_E64i_v3", "Standard_E80ids_v4", "Standard_E8as_v4+1TB_PS",
		"Standard_E8as_v4+2TB_PS", "Standard_E16as_v4+3TB_PS", "Standard_E16as_v4+4TB_PS", "Standard_E8as_v5+1TB_PS", "Standard_E8as_v5+2TB_PS",
		"Standard_E16as_v5+3TB_PS", "Standard_E16as_v5+4TB_PS", "Standard_E8s_v4+1TB_PS", "Standard_E8s_v4+2TB_PS", "Standard_E16s_v4+3TB_PS",
		"Standard_E16s_v4+4TB_PS", "Standard_E8s_v5+1TB_PS", "Standard_E8s_v5+2TB_PS", "Standard_E16s_v5+3TB_PS", "Standard_E16s_v5+4TB_PS",
		"Standard_EC8ads_v5", "Standard_EC16ads_v5", "Standard_EC8as_v5+1TB_PS", "Standard_EC8as_v5+2TB_PS", "Standard_EC16as_v5+3TB_PS",
		"Standard_EC16as_v5+4TB_PS", "Standard_L4s", "Standard_L8s", "Standard_L16s", "Standard_L8s_v2", "Standard_L16s_v2", "Standard_L8s_v3",
		"Standard_L16s_v3", "Standard_L32s_v3", "Standard_L8as_v3", "Standard_L16as_v3", "Standard_L32as_v3",
	}
}

func (s sku) dev() bool { return strings.HasPrefix(s.Name, devPrefix) }

// bounds are the least and the greatest capacity.
func (s sku) bounds() (minimum, maximum int) {
	if s.dev() {
		return 1, 1
	}
	return 2, 1000
}

func (s sku) tier() string {
	if s.dev() {
		return "Basic"
	}
	return "Standard"
}

// mergeSKU reads the sku of a body over base: a PATCH may name one member only.
func mergeSKU(raw json.RawMessage, base sku) (sku, error) {
	o, err := asObject("sku", raw)
	if err != nil {
		return sku{}, err
	}
	out := base
	if out.Name, err = o.text("sku.name", "name", base.Name); err != nil {
		return sku{}, err
	}
	if out.Name == "" {
		return sku{}, azerr.KustoInvalidMember("sku.name", "the name of a SKU")
	}
	if out.Tier, err = o.text("sku.tier", "tier", base.Tier); err != nil {
		return sku{}, err
	}
	if !regexp.MustCompile(`^(Dev\(No SLA\)_)?Standard_[A-Za-z0-9_+]{1,60}$`).MatchString(out.Name) {
		return sku{}, azerr.KustoInvalidMember("sku.name", "the name of a SKU such as Standard_D13_v2")
	}
	if want := out.tier(); !strings.EqualFold(out.Tier, want) {
		if !o.has("tier") && base.Name != "" {
			out.Tier = want // a PATCH of the name alone takes its tier along
		} else {
			return sku{}, azerr.KustoInvalidMember("sku.tier", want+" for the SKU "+out.Name)
		}
	}
	out.Tier = out.tier()
	minimum, maximum := out.bounds()
	switch n, sent, err := o.integer("sku.capacity", "capacity"); {
	case err != nil:
		return sku{}, err
	case sent:
		out.Capacity = &n
	case base.Capacity == nil || out.dev() != base.dev():
		out.Capacity = &minimum
	}
	if *out.Capacity < minimum || *out.Capacity > maximum {
		return sku{}, azerr.KustoSkuCapacity(out.Name, minimum, maximum)
	}
	return out, nil
}

func (s sku) equal(t sku) bool {
	return s.Name == t.Name && s.Tier == t.Tier && s.Capacity != nil && t.Capacity != nil && *s.Capacity == *t.Capacity
}
