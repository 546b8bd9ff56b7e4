package catalog

import (
	"strings"

	"github.com/kustos-io/kustos/internal/store"
)

// PutGrant adds a grant or replaces the one of its id. It needs no key.
func (c *Catalog) PutGrant(tx store.Tx, g Grant) error {
	return store.PutJSON(tx, grantBucket, c.key(strings.ToLower(g.ID)), g)
}

// DeleteGrant removes a grant, or returns ErrNotFound.
func (c *Catalog) DeleteGrant(tx store.Tx, id string) error {
	return missing(tx.Delete(grantBucket, c.key(strings.ToLower(id))), "grant %s", id)
}

// Grants lists the grants in the order of their ids.
func (c *Catalog) Grants(tx store.Tx) ([]Grant, error) {
	return store.ListJSON[Grant](tx, grantBucket, c.cluster+"/")
}
