package inert

import (
	"context"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

var _ provider.Extending = (*rp)(nil)

// checkExtended insists that what a resource extends is there. The front door
// has found subscriptions and groups.
func (p *rp) checkExtended(ctx context.Context, req *provider.Request) error {
	of := req.ID.Parent
	if of == nil {
		return nil
	}
	if p.Front == nil {
		return azerr.OperationNotSupported("extension", of.Type())
	}
	version := provider.NewestVersion(p.Front.Providers(), *of)
	if version == "" {
		return provider.NotFound(*of)
	}
	_, err := p.Front.Dispatch(ctx, &provider.Request{Method: http.MethodGet, ID: *of, APIVersion: version, BaseURL: req.BaseURL, CorrelationID: req.CorrelationID,
		Principal: authz.Principal{TenantID: req.Principal.TenantID, FirstParty: p.Config.Namespace, Name: p.Config.Namespace}})
	return err
}

// RemoveExtensions forgets what extends a resource, and what is below that.
func (p *rp) RemoveExtensions(tx store.Tx, of ids.ID) error {
	var gone []string
	for e, err := range tx.Scan(bucket, prefix(p.Config.Namespace)+of.Key()+"/", "") {
		if err != nil {
			return err
		}
		if rest := strings.TrimPrefix(e.Key, prefix(p.Config.Namespace)+of.Key()); strings.Contains(rest, "/providers/") {
			gone = append(gone, e.Key)
		}
	}
	for _, key := range gone {
		if err := tx.Delete(bucket, key); err != nil {
			return err
		}
	}
	return nil
}
