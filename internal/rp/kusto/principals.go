package kusto

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// The older way to name a database's principals: three actions with lists.

// principalWire is one database principal.
func principalWire(g catalog.Grant, shape string) object {
	o := object{{"role", g.Role}, {"name", orText(g.Name, g.PrincipalID)}, {"type", g.PrincipalType}, {"fqn", fqn(g)}, {"email", ""}, {"appId", g.AppID}}
	if shape >= v20190515 {
		o.add("tenantName", nil)
	}
	return o
}

func orText(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

// fqn is the fully qualified name of a grant's principal: "aadapp=<id>;<tenant>".
func fqn(g catalog.Grant) string {
	prefix := map[string]string{"App": "aadapp=", "Group": "aadgroup=", "User": "aaduser="}[g.PrincipalType]
	id := g.PrincipalID
	if g.AppID != "" {
		id = g.AppID
	}
	return prefix + id + ";" + g.TenantID
}

// readPrincipals reads {"value":[…]} of the actions.
func (p *Provider) readPrincipals(ctx context.Context, req *provider.Request, d *databaseRecord) ([]catalog.Grant, error) {
	b, err := requestBody(req)
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(b.get("value"), &list); err != nil {
		return nil, azerr.KustoInvalidMember("value", "an array of principals")
	}
	var out []catalog.Grant
	for i, raw := range list {
		path := fmt.Sprintf("value[%d]", i)
		o, err := asObject(path, raw)
		if err != nil {
			return nil, err
		}
		g, err := p.readPrincipal(path+".", o)
		if err != nil {
			return nil, err
		}
		if err := p.resolve(ctx, &g); err != nil {
			return nil, err
		}
		g.Scope, g.Database = catalog.ScopeDatabase, d.Name
		g.ID = "principal/" + d.ID + "/" + strings.ToLower(g.Role+"/"+fqn(g))
		out = append(out, g)
	}
	return out, nil
}

func (p *Provider) readPrincipal(path string, o body) (catalog.Grant, error) {
	var g catalog.Grant
	var full, email, app string
	for _, m := range []struct {
		name string
		to   *string
	}{{"role", &g.Role}, {"name", &g.Name}, {"type", &g.PrincipalType}, {"fqn", &full}, {"email", &email}, {"appId", &app}} {
		var err error
		if *m.to, err = o.text(path+m.name, m.name, ""); err != nil {
			return g, err
		}
	}
	g.PrincipalID, g.TenantID = app, p.tenant
	if full != "" {
		_, rest, found := strings.Cut(full, "=")
		if !found {
			return g, azerr.KustoInvalidMember(path+"fqn", "of the form aadapp=<id>;<tenant>")
		}
		id, tenant, _ := strings.Cut(rest, ";")
		g.PrincipalID = id
		if tenant != "" {
			if !ids.IsGUID(tenant) {
				return g, azerr.KustoInvalidMember(path+"fqn", "of the form aadapp=<id>;<tenant id>")
			}
			g.TenantID = tenant
		}
	}
	g.PrincipalID = orText(g.PrincipalID, email)
	if g.Name == "" {
		return g, azerr.KustoInvalidMember(path+"name", "given")
	}
	return g, checkPrincipal(&g, databaseRoles(), path, "fqn", "type")
}

func (p *Provider) listPrincipals(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	at, err := p.runningDatabase(ctx, req)
	if err != nil {
		return nil, err
	}
	return p.principalsOf(ctx, at, req.Shape)
}

func (p *Provider) principalsOf(ctx context.Context, at place, shape string) (*provider.Response, error) {
	grants, err := p.databaseGrants(ctx, at.rec, at.database.Name)
	if err != nil {
		return nil, err
	}
	var value []object
	for _, g := range grants {
		value = append(value, principalWire(g, shape))
	}
	return listOf(value), nil
}

// runningDatabase finds the database of an action; its cluster must run.
func (p *Provider) runningDatabase(ctx context.Context, req *provider.Request) (place, error) {
	rec, err := p.running(ctx, req)
	if err != nil {
		return place{}, err
	}
	_, d, err := p.database(ctx, req.ID)
	if err != nil {
		return place{}, err
	}
	if d == nil || !d.Born {
		return place{}, notFound(req.ID, "clusters/databases", 2)
	}
	return place{rec: rec, database: d, id: rec.databaseID(d.Name)}, nil
}

func (p *Provider) addPrincipals(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	return p.changePrincipals(ctx, req, func(tx store.Tx, at place, asked catalog.Grant, _ []catalog.Grant) error {
		return p.runtime.PutGrant(tx, at.rec.ID, asked)
	})
}

// removePrincipals takes a role away however it was given, except by an
// assignment, which is a resource and is deleted as one.
func (p *Provider) removePrincipals(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	return p.changePrincipals(ctx, req, func(tx store.Tx, at place, asked catalog.Grant, have []catalog.Grant) error {
		for _, g := range have {
			if g.Role != asked.Role || !strings.EqualFold(fqn(g), fqn(asked)) || strings.HasPrefix(g.ID, "/") {
				continue
			}
			if err := p.runtime.DeleteGrant(tx, at.rec.ID, g.ID); err != nil && !errors.Is(err, catalog.ErrNotFound) {
				return err
			}
		}
		return nil
	})
}

// changePrincipals applies change to every principal of the body in one
// transaction and answers with all principals of the database.
func (p *Provider) changePrincipals(ctx context.Context, req *provider.Request, change func(tx store.Tx, at place, asked catalog.Grant, have []catalog.Grant) error) (*provider.Response, error) {
	at, err := p.runningDatabase(ctx, req)
	if err != nil {
		return nil, err
	}
	asked, err := p.readPrincipals(ctx, req, at.database)
	if err != nil {
		return nil, err
	}
	have, err := p.databaseGrants(ctx, at.rec, at.database.Name)
	if err != nil {
		return nil, err
	}
	err = p.store.Update(ctx, func(tx store.Tx) error {
		if err := stillThere(tx, at); err != nil {
			return err
		}
		for _, g := range asked {
			if err := change(tx, at, g, have); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	res, err := p.principalsOf(ctx, at, req.Shape)
	if err != nil {
		return nil, err
	}
	res.Status = http.StatusOK
	return res, nil
}
