package kusto

import (
	"context"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
)

// Preflight implements provider.Preflighter. It refuses what would be refused
// whatever else the template does: shapes, names, sizes, locations, features
// that are not here, and checks 1 to 3 of a customer's key. Vaults, keys,
// identities and parents may be made by the same template, so they are looked
// at when the resource is written.
func (p *Provider) Preflight(ctx context.Context, req *provider.Request) error {
	if _, err := p.find(req); err != nil {
		return err
	}
	if req.Method != http.MethodPut {
		return nil
	}
	switch strings.ToLower(req.ID.TypePath()) {
	case "clusters":
		_, err := p.planCluster(ctx, req, true)
		return err
	case "clusters/databases":
		if err := checkDatabaseName(req.ID.Name()); err != nil {
			return err
		}
		if _, err := callerRole(req); err != nil {
			return err
		}
		_, _, err := p.mergeDatabase(req, nil, nil)
		return err
	case "clusters/principalassignments", "clusters/databases/principalassignments":
		if err := checkAssignmentName(req.ID.Name()); err != nil {
			return err
		}
		_, err := readGrant(req, p.tenant, len(req.ID.Segments) == 3)
		return err
	}
	return nil
}
