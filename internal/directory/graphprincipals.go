package directory

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

func (d *Directory) graphPrincipals(c graphCall) (graphAnswer, error) {
	switch {
	case c.rest != "":
		return d.graphMembership(c, "servicePrincipals")
	case c.Method == http.MethodGet && !c.named():
		return d.listPrincipals(c)
	case c.Method == http.MethodGet:
		return d.getPrincipal(c)
	case c.Method == http.MethodPost && !c.named():
		return d.createPrincipal(c)
	case c.Method == http.MethodDelete && c.named():
		return d.deletePrincipal(c)
	default:
		return graphAnswer{}, azerr.GraphMethodNotAllowed(c.Method)
	}
}

func findPrincipal(tx store.Tx, c graphCall) (principal, error) {
	var (
		p   principal
		err error
	)
	if c.appID != "" {
		p, err = principalByAppID(tx, c.appID)
	} else {
		p, err = read[principal](tx, bucketPrincipals, c.key)
	}
	if errors.Is(err, ErrNotFound) {
		err = azerr.GraphResourceNotFound(c.id())
	}
	return p, err
}

func (d *Directory) listPrincipals(c graphCall) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "servicePrincipals/standard/read"); err != nil {
		return graphAnswer{}, err
	}
	var all []principal
	err := d.store.View(c.Context(), func(tx store.Tx) (err error) {
		all, err = store.ListJSON[principal](tx, bucketPrincipals, "")
		return err
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("list service principals: %w", err)
	}
	return list(c.URL.Query(), "servicePrincipals", "servicePrincipal", all, func(p principal) any { return p.graph(d.tenantID) })
}

func (d *Directory) getPrincipal(c graphCall) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "servicePrincipals/standard/read"); err != nil {
		return graphAnswer{}, err
	}
	var p principal
	err := d.store.View(c.Context(), func(tx store.Tx) (err error) {
		p, err = findPrincipal(tx, c)
		return err
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("read service principal: %w", err)
	}
	return one(c.URL.Query(), "servicePrincipals", "servicePrincipal", p.graph(d.tenantID))
}

func (d *Directory) createPrincipal(c graphCall) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "servicePrincipals/create"); err != nil {
		return graphAnswer{}, err
	}
	body, err := c.body()
	if err != nil {
		return graphAnswer{}, err
	}
	var appID string
	enabled := true
	if err := errors.Join(body.take("appId", &appID), body.take("accountEnabled", &enabled), body.finish("ServicePrincipal")); err != nil {
		return graphAnswer{}, err
	}
	if !enabled {
		return graphAnswer{}, azerr.GraphNotSupported("A disabled service principal")
	}
	foreign, err := d.foreignApplication(c.Context(), appID)
	if err != nil {
		return graphAnswer{}, fmt.Errorf("create service principal: %w", err)
	}
	p := principal{ObjectID: ids.NewGUID(), Kind: kindApplication, Created: d.now().UTC()}
	err = d.store.Update(c.Context(), func(tx store.Tx) error {
		a, err := applicationByAppID(tx, appID)
		if errors.Is(err, ErrNotFound) && foreign != nil {
			a, p.OwnerTenantID, err = foreign.application, foreign.tenantID, nil
		}
		if errors.Is(err, ErrNotFound) {
			return azerr.GraphBadRequest(fmt.Sprintf("The appId '%s' of the service principal does not reference a valid application object.", quoted(appID)))
		} else if err != nil {
			return err
		}
		if _, err := principalByAppID(tx, appID); err == nil {
			return azerr.GraphPrincipalExists(a.AppID)
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
		p.AppID, p.DisplayName, p.Audience = a.AppID, a.DisplayName, a.Audience
		return putPrincipal(tx, p)
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("create service principal: %w", err)
	}
	d.log.InfoContext(c.Context(), "service principal created", "created", p.ObjectID, "principal", c.caller.ObjectID)
	return graphAnswer{http.StatusCreated, withContext("servicePrincipals", p.graph(d.tenantID))}, nil
}

func (d *Directory) deletePrincipal(c graphCall) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "servicePrincipals/delete"); err != nil {
		return graphAnswer{}, err
	}
	own, err := d.Bootstrap(c.Context())
	if err != nil {
		return graphAnswer{}, err
	}
	var p principal
	err = d.changeGroups(c.Context(), func(tx store.Tx) (err error) {
		if p, err = findPrincipal(tx, c); err != nil {
			return err
		}
		switch {
		case p.managed(): // it lives and dies with its resource
			return azerr.GraphBadRequest("The service principal of a managed identity is deleted with the resource that owns it.")
		case p.ObjectID == own.ObjectID:
			return azerr.GraphBadRequest("This instance's own service principal cannot be deleted: it is the way in.")
		}
		return deletePrincipal(tx, p)
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("delete service principal: %w", err)
	}
	d.log.InfoContext(c.Context(), "service principal deleted", "deleted", p.ObjectID, "principal", c.caller.ObjectID)
	return graphAnswer{status: http.StatusNoContent}, nil
}
