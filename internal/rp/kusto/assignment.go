package kusto

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// assignmentRecord is a principalAssignment of a cluster or a database. What
// it permits is a grant in the catalogue under the assignment's id; both are
// written in one transaction, before the answer, so that the next request to
// the data plane already counts it.
type assignmentRecord struct {
	Name  string        `json:"name"`
	Grant catalog.Grant `json:"grant"`
}

// Principals finds service principals by object id or application id;
// satisfied by the directory.
type Principals interface {
	// Lookup returns an error that is directory.ErrNotFound when there is none.
	Lookup(ctx context.Context, id string) (directory.Entry, error)
}

// place is what a set of assignments belongs to.
type place struct {
	rec      *record
	database *databaseRecord // nil for the cluster's own
	key      string          // prefix of the assignments' keys, with the final slash
	id       ids.ID
	typ      string
}

func clusterRoles(shape string) []string {
	roles := []string{"AllDatabasesAdmin", "AllDatabasesViewer"}
	if shape >= v20240413 {
		roles = append(roles, "AllDatabasesMonitor")
	}
	return roles
}

func databaseRoles() []string {
	return []string{"Admin", "Ingestor", "Monitor", "User", "UnrestrictedViewer", "Viewer"}
}

// place finds the cluster or database that an assignment's id lies in.
func (p *Provider) place(ctx context.Context, req *provider.Request) (place, error) {
	rec, err := p.parent(ctx, req)
	if err != nil {
		return place{}, err
	}
	if !strings.EqualFold(req.ID.Segments[min(1, len(req.ID.Segments)-1)].Type, "databases") {
		id := rec.armID()
		return place{rec: rec, id: id, key: id.Key() + "/principalassignments/", typ: Namespace + "/Clusters/PrincipalAssignments"}, nil
	}
	_, d, err := p.database(ctx, req.ID)
	if err != nil {
		return place{}, err
	}
	if d == nil || !d.Born {
		return place{}, parentNotFound(req)
	}
	id := rec.databaseID(d.Name)
	return place{rec: rec, database: d, id: id, key: id.Key() + "/principalassignments/", typ: Namespace + "/Clusters/Databases/PrincipalAssignments"}, nil
}

// mergeAssignment reads the body of a PUT.
func (p *Provider) mergeAssignment(ctx context.Context, req *provider.Request, at place) (*assignmentRecord, error) {
	g, err := readGrant(req, p.tenant, at.database != nil)
	if err != nil {
		return nil, err
	}
	if at.database != nil {
		g.Scope, g.Database = catalog.ScopeDatabase, at.database.Name
	} else {
		g.Scope = catalog.ScopeCluster
	}
	g.ID = at.key + strings.ToLower(req.ID.Name())
	if err := p.resolve(ctx, &g); err != nil {
		return nil, err
	}
	return &assignmentRecord{Name: req.ID.Name(), Grant: g}, nil
}

// readGrant checks the members of an assignment.
func readGrant(req *provider.Request, tenant string, database bool) (catalog.Grant, error) {
	b, err := requestBody(req)
	if err != nil {
		return catalog.Grant{}, err
	}
	if !b.has("properties") {
		return catalog.Grant{}, azerr.KustoInvalidMember("properties", "given")
	}
	props, err := asObject("properties", b.get("properties"))
	if err != nil {
		return catalog.Grant{}, err
	}
	var g catalog.Grant
	for _, m := range []struct {
		name string
		to   *string
	}{{"principalId", &g.PrincipalID}, {"principalType", &g.PrincipalType}, {"role", &g.Role}, {"tenantId", &g.TenantID}} {
		if *m.to, err = props.text("properties."+m.name, m.name, ""); err != nil {
			return catalog.Grant{}, err
		}
	}
	roles := clusterRoles(req.Shape)
	if database {
		roles = databaseRoles()
	}
	if err := checkPrincipal(&g, roles, "properties.", "principalId", "principalType"); err != nil {
		return catalog.Grant{}, err
	}
	switch {
	case g.TenantID == "":
		g.TenantID = tenant
	case !ids.IsGUID(g.TenantID):
		return catalog.Grant{}, azerr.KustoInvalidMember("properties.tenantId", "a tenant id")
	}
	return g, nil
}

// checkPrincipal checks who gets which role, and spells both as the service does.
func checkPrincipal(g *catalog.Grant, roles []string, path, idName, typeName string) error {
	if strings.TrimSpace(g.PrincipalID) == "" || len(g.PrincipalID) > 512 {
		return azerr.KustoInvalidMember(path+idName, "an application id, an object id, a name of a group or an e-mail address")
	}
	var ok bool
	if g.PrincipalType, ok = spell(g.PrincipalType, "App", "Group", "User"); !ok {
		return azerr.KustoInvalidMember(path+typeName, "one of App, Group, User")
	}
	if g.Role, ok = spell(g.Role, roles...); !ok {
		return azerr.KustoInvalidMember(path+"role", "one of "+strings.Join(roles, ", "))
	}
	if g.PrincipalType == "App" && !ids.IsGUID(g.PrincipalID) {
		return azerr.KustoInvalidMember(path+idName, "an application id or an object id when the type is App")
	}
	return nil
}

func spell(text string, values ...string) (string, bool) {
	i := slices.IndexFunc(values, func(v string) bool { return strings.EqualFold(v, text) })
	if i < 0 {
		return text, false
	}
	return values[i], true
}

// resolve completes a grant from the directory. A principal that the directory
// does not know (of another tenant, or a person) keeps the id that was given.
func (p *Provider) resolve(ctx context.Context, g *catalog.Grant) error {
	if !ids.IsGUID(g.PrincipalID) {
		return nil
	}
	g.ObjectID = strings.ToLower(g.PrincipalID)
	if g.PrincipalType == "App" {
		g.AppID = g.ObjectID
	}
	if !strings.EqualFold(g.TenantID, p.tenant) {
		return nil
	}
	e, err := p.principals.Lookup(ctx, g.PrincipalID)
	if errors.Is(err, directory.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if g.PrincipalType == "App" {
		g.ObjectID, g.AppID, g.Name = e.ObjectID, e.AppID, e.Name
	}
	return nil
}

func (a *assignmentRecord) wire(at place, shape string) object {
	g := a.Grant
	orNull := func(text string) any {
		if text == "" {
			return nil
		}
		return text
	}
	name := at.rec.Name + "/" + a.Name
	if at.database != nil {
		name = at.rec.Name + "/" + at.database.Name + "/" + a.Name
	}
	props := object{{"principalId", g.PrincipalID}, {"role", g.Role}, {"tenantId", g.TenantID}, {"principalType", g.PrincipalType},
		{"tenantName", nil}, {"principalName", orNull(g.Name)}, {"provisioningState", provSucceeded}}
	if shape >= v20220201 {
		props.add("aadObjectId", orNull(g.ObjectID))
	}
	return object{{"id", at.id.Child("PrincipalAssignments", a.Name).String()}, {"name", name}, {"type", at.typ}, {"properties", props}}
}

func (p *Provider) putAssignment(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	if err := checkAssignmentName(req.ID.Name()); err != nil {
		return nil, err
	}
	at, err := p.place(ctx, req)
	if err != nil {
		return nil, err
	}
	a, err := p.mergeAssignment(ctx, req, at)
	if err != nil {
		return nil, err
	}
	status := http.StatusCreated
	err = p.store.Update(ctx, func(tx store.Tx) error {
		if err := stillThere(tx, at); err != nil {
			return err
		}
		before, err := store.GetJSON[assignmentRecord](tx, bucketAssignments, a.Grant.ID)
		if err == nil {
			a.Name, status = before.Name, http.StatusOK
		} else if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := p.runtime.PutGrant(tx, at.rec.ID, a.Grant); err != nil {
			return err
		}
		return store.PutJSON(tx, bucketAssignments, a.Grant.ID, *a)
	})
	if err != nil {
		return nil, err
	}
	return &provider.Response{Status: status, Body: a.wire(at, req.Shape)}, nil
}

// stillThere refuses a write whose cluster or database went away, or is going.
func stillThere(tx store.Tx, at place) error {
	rec, err := loadTx(tx, at.rec.armID().Key())
	if err != nil {
		return err
	}
	if rec == nil || rec.ID != at.rec.ID || rec.Activity == "Deleting" {
		return azerr.KustoRequestConflict(at.rec.resourceID())
	}
	if at.database == nil {
		return nil
	}
	d, err := loadDatabase(tx, at.id.Key())
	if err != nil {
		return err
	}
	if d == nil || d.ID != at.database.ID || d.Provisioning == provDeleting {
		return azerr.KustoRequestConflict(at.id.String())
	}
	return nil
}

func checkAssignmentName(name string) error {
	if len(name) > 260 || !regexp.MustCompile(`^[A-Za-z0-9._ -]+$`).MatchString(name) {
		return azerr.KustoInvalidName(name, Namespace+"/clusters/principalAssignments", "it must have 1 to 260 letters, digits, blanks, dashes, dots and underscores")
	}
	return nil
}

func (p *Provider) findAssignment(ctx context.Context, req *provider.Request, at place) (*assignmentRecord, error) {
	var a assignmentRecord
	err := p.store.View(ctx, func(tx store.Tx) (err error) {
		a, err = store.GetJSON[assignmentRecord](tx, bucketAssignments, at.key+strings.ToLower(req.ID.Name()))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return &a, err
}

func (p *Provider) getAssignment(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	at, err := p.place(ctx, req)
	if err != nil {
		return nil, err
	}
	a, err := p.findAssignment(ctx, req, at)
	if err != nil {
		return nil, err
	}
	if a == nil {
		typ := "clusters/principalAssignments"
		if at.database != nil {
			typ = "clusters/databases/principalAssignments"
		}
		return nil, notFound(req.ID, typ, len(req.ID.Segments))
	}
	return &provider.Response{Status: http.StatusOK, Body: a.wire(at, req.Shape)}, nil
}

func (p *Provider) listAssignments(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	at, err := p.place(ctx, req)
	if err != nil {
		return nil, err
	}
	var all []assignmentRecord
	err = p.store.View(ctx, func(tx store.Tx) (err error) {
		all, err = store.ListJSON[assignmentRecord](tx, bucketAssignments, at.key)
		return err
	})
	if err != nil {
		return nil, err
	}
	var value []object
	for _, a := range all {
		value = append(value, a.wire(at, req.Shape))
	}
	return listOf(value), nil
}

func (p *Provider) deleteAssignment(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	at, err := p.place(ctx, req)
	if err != nil {
		return nil, err
	}
	a, err := p.findAssignment(ctx, req, at)
	if err != nil {
		return nil, err
	}
	if a == nil {
		return &provider.Response{Status: http.StatusNoContent}, nil
	}
	err = p.store.Update(ctx, func(tx store.Tx) error {
		if err := tx.Delete(bucketAssignments, a.Grant.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := p.runtime.DeleteGrant(tx, at.rec.ID, a.Grant.ID); err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &provider.Response{Status: http.StatusOK}, nil
}

// checkAssignmentNameAvailability serves both name checks.
func (p *Provider) checkAssignmentNameAvailability(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	at, err := p.place(ctx, req)
	if err != nil {
		return nil, err
	}
	typ := Namespace + "/clusters/principalAssignments"
	if at.database != nil {
		typ = Namespace + "/clusters/databases/principalAssignments"
	}
	name, _, err := checkRequest(req, typ)
	if err != nil {
		return nil, err
	}
	if err := checkAssignmentName(name); err != nil {
		return nameAnswer(name, azerr.From(err).Message, "Invalid"), nil
	}
	taken := false
	err = p.store.View(ctx, func(tx store.Tx) error {
		taken, err = present(tx, bucketAssignments, at.key+strings.ToLower(name))
		return err
	})
	if err != nil {
		return nil, err
	}
	if taken {
		return nameAnswer(name, "Name '"+name+"' with type PrincipalAssignment is already taken. Please specify a different name", "AlreadyExists"), nil
	}
	return nameAnswer(name, "", ""), nil
}
