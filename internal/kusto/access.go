package kusto

import (
	"context"
	"fmt"
	"strings"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/catalog"
)

// need is what a request wants to do with a database.
type need int

const (
	needShow   need = iota // see names, versions, schemas
	needRead               // query rows
	needIngest             // add rows to an existing table
	needCreate             // create tables
	needAdmin              // drop, alter, change policies
)

func (n need) String() string {
	return [...]string{"view the metadata of", "read", "ingest into", "create entities in", "administer"}[n]
}

// allows says what a role of the cluster or the database permits. Roles that
// are not listed permit nothing.
func allows(role string, n need) bool {
	switch role {
	case "AllDatabasesAdmin", "Admin":
		return true
	case "User":
		return n <= needRead || n == needCreate
	case "AllDatabasesViewer", "Viewer", "UnrestrictedViewer":
		return n <= needRead
	case "Ingestor":
		return n == needShow || n == needIngest
	case "AllDatabasesMonitor", "Monitor":
		return n == needShow
	}
	return false
}

// access is what one caller may do on one cluster.
type access struct {
	principal authz.Principal
	grants    []catalog.Grant // the caller's only
}

// accessOf finds the caller's grants. Nobody is admitted without one.
func (h *Handler) accessOf(ctx context.Context, clusterID string, p authz.Principal) (access, error) {
	all, err := h.runtime.Grants(ctx, clusterID)
	if err != nil {
		return access{}, fmt.Errorf("read grants: %w", err)
	}
	a := access{principal: p}
	for _, g := range all {
		if matches(g, p) {
			a.grants = append(a.grants, g)
		}
	}
	return a, nil
}

func matches(g catalog.Grant, p authz.Principal) bool {
	if g.TenantID != "" && !strings.EqualFold(g.TenantID, p.TenantID) {
		return false
	}
	return p.Has(g.ObjectID) || g.AppID != "" && strings.EqualFold(g.AppID, p.AppID)
}

// may reports whether the caller may do n on the database; an empty name asks
// about the cluster as a whole.
func (a access) may(n need, database string) bool {
	for _, g := range a.grants {
		if (g.Scope == catalog.ScopeCluster || database != "" && strings.EqualFold(g.Database, database)) && allows(g.Role, n) {
			return true
		}
	}
	return false
}

// require returns the 403 that says what is missing.
func (a access) require(n need, database string) error {
	if a.may(n, database) {
		return nil
	}
	entity := "database '" + database + "'"
	if database == "" {
		entity = "the cluster"
	}
	return forbidden(fullName(a.principal.AppID, a.principal.ObjectID, a.principal.TenantID), n.String(), entity)
}

// fullName is a principal's fully qualified name.
func fullName(appID, objectID, tenantID string) string {
	if appID == "" {
		return "aaduser=" + objectID + ";" + tenantID
	}
	return "aadapp=" + appID + ";" + tenantID
}
