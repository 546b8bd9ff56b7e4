package directory

import (
	"net/http"

	"github.com/kustos-io/kustos/internal/azerr"
)

// graphDomain is a verified domain of the tenant.
type graphDomain struct {
	ID                 string   `json:"id"`
	AuthenticationType string   `json:"authenticationType"`
	IsAdminManaged     bool     `json:"isAdminManaged"`
	IsDefault          bool     `json:"isDefault"`
	IsInitial          bool     `json:"isInitial"`
	IsRoot             bool     `json:"isRoot"`
	IsVerified         bool     `json:"isVerified"`
	SupportedServices  []string `json:"supportedServices"`
}

type domain string

func (n domain) objectID() string { return string(n) }

func (n domain) property(name string) (values []string, collection, known bool) {
	return []string{string(n)}, false, name == "id"
}

// graphDomains serves the tenant's one domain.
func (d *Directory) graphDomains(c graphCall) (graphAnswer, error) {
	if c.Method != http.MethodGet || c.rest != "" || c.appID != "" {
		return graphAnswer{}, azerr.GraphNotSupported("Changing domains")
	}
	if err := d.permit(c.Context(), c.caller, "domains/standard/read"); err != nil {
		return graphAnswer{}, err
	}
	shape := func(n domain) any {
		return graphDomain{ID: string(n), AuthenticationType: "Managed", IsAdminManaged: true, IsDefault: true, IsInitial: true, IsRoot: true, IsVerified: true, SupportedServices: []string{}}
	}
	switch {
	case c.key == "":
		return list(c.URL.Query(), "domains", "domain", []domain{domain(d.domain)}, shape)
	case key(c.key) == d.domain:
		return one(c.URL.Query(), "domains", "domain", shape(domain(d.domain)))
	}
	return graphAnswer{}, azerr.GraphResourceNotFound(c.id())
}
