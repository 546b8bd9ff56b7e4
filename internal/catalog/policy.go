package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/kustos-io/kustos/internal/store"
)

// policyKey is database/table/kind; a database's own policies have "-" for a table.
func (c *Catalog) policyKey(databaseID, tableID string, kind PolicyKind) string {
	if tableID == "" {
		tableID = "-"
	}
	return c.key(databaseID, tableID, string(kind))
}

func policyContext(tableID string, kind PolicyKind) string {
	return "policy\x00" + tableID + "\x00" + string(kind)
}

// Policy gives a policy's body; tableID "" means the database's own.
func (c *Catalog) Policy(tx store.Tx, databaseID, tableID string, kind PolicyKind) (json.RawMessage, error) {
	sealed, err := tx.Get(policyBucket, c.policyKey(databaseID, tableID, kind))
	if err != nil {
		return nil, missing(err, "policy %s", kind)
	}
	body, err := c.sealers.Sealer(tx, databaseID).Open(policyContext(tableID, kind), sealed)
	if err != nil {
		return nil, fmt.Errorf("open policy %s: %w", kind, err)
	}
	return body, nil
}

// SetPolicy replaces a policy's body; nil deletes it.
func (c *Catalog) SetPolicy(tx store.Tx, databaseID, tableID string, kind PolicyKind, body json.RawMessage) error {
	key := c.policyKey(databaseID, tableID, kind)
	if body == nil {
		err := tx.Delete(policyBucket, key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	}
	sealed, err := c.sealers.Sealer(tx, databaseID).Seal(policyContext(tableID, kind), body)
	if err != nil {
		return fmt.Errorf("seal policy %s: %w", kind, err)
	}
	return tx.Put(policyBucket, key, sealed)
}

// ResealPolicies seals all policies of a database anew, under the newest
// version of its key.
func (c *Catalog) ResealPolicies(tx store.Tx, databaseID string) error {
	prefix := c.key(databaseID) + "/"
	var keys []string
	for e, err := range tx.Scan(policyBucket, prefix, "") {
		if err != nil {
			return err
		}
		keys = append(keys, e.Key)
	}
	for _, key := range keys {
		table, kind, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
		if table == "-" {
			table = ""
		}
		body, err := c.Policy(tx, databaseID, table, PolicyKind(kind))
		if err != nil {
			return err
		}
		if err := c.SetPolicy(tx, databaseID, table, PolicyKind(kind), body); err != nil {
			return err
		}
	}
	return nil
}
