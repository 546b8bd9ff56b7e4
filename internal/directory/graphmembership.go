package directory

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/store"
)

// maxIDs is Graph's bound of a list of ids in a request.
const maxIDs = 1000

// joined puts two parts of a path together again.
func joined(first, rest string) string {
	if rest == "" {
		return strings.ToLower(first)
	}
	return strings.ToLower(first) + "/" + rest
}

// graphMembership serves what is the same below users, groups, service
// principals and directory objects: which groups something is in.
func (d *Directory) graphMembership(c graphCall, set string) (graphAnswer, error) {
	switch {
	case !c.named():
	case c.rest == "memberof" && c.Method == http.MethodGet, c.rest == "transitivememberof" && c.Method == http.MethodGet:
		return d.memberOf(c, set)
	case (c.rest == "getmembergroups" || c.rest == "getmemberobjects") && c.Method == http.MethodPost:
		return d.getMemberGroups(c)
	case (c.rest == "checkmembergroups" || c.rest == "checkmemberobjects") && c.Method == http.MethodPost:
		return d.checkMemberGroups(c)
	}
	return graphAnswer{}, azerr.GraphNotSupported(fmt.Sprintf("'%s/{id}/%s' with method %s", set, quoted(c.rest), quoted(c.Method)))
}

// member is the object whose groups a call asks for. A principal may ask for
// itself.
func (d *Directory) member(c graphCall) (object, error) {
	if !isSelf(c.key, c.caller.ObjectID, c.caller.UPN) {
		if err := d.permit(c.Context(), c.caller, "groups/standard/read"); err != nil {
			return nil, err
		}
	}
	var o object
	err := d.store.View(c.Context(), func(tx store.Tx) (err error) {
		switch c.set {
		case "users", "me":
			o, err = asObject(findUser(tx, c))
		case "serviceprincipals":
			o, err = asObject(findPrincipal(tx, c))
		case "groups":
			o, err = asObject(findGroup(tx, c))
		default:
			if o, err = findObject(tx, c.key); errors.Is(err, ErrNotFound) {
				err = azerr.GraphResourceNotFound(c.id())
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read member: %w", err)
	}
	return o, nil
}

func asObject[O object](o O, err error) (object, error) { return o, err }

// objects reads directory objects; ids that are not there any more are left out.
func (d *Directory) objects(c graphCall, wanted []string) ([]object, error) {
	var out []object
	err := d.store.View(c.Context(), func(tx store.Tx) error {
		for _, id := range wanted {
			o, err := findObject(tx, id)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			out = append(out, o)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read directory objects: %w", err)
	}
	slices.SortFunc(out, func(a, b object) int { return strings.Compare(a.objectID(), b.objectID()) })
	return out, nil
}

// listObjects answers a page of objects of several types.
func (d *Directory) listObjects(c graphCall, set string, all []object) (graphAnswer, error) {
	query := c.URL.Query()
	if query.Has("$filter") {
		return graphAnswer{}, azerr.GraphUnsupportedQuery("$filter")
	}
	answer, err := list(query, set, "directoryObject", all, func(o object) any { return o.typed(d.tenantID) })
	if page, ok := answer.body.(graphList); ok {
		page.Context = graphContext + "directoryObjects"
		answer.body = page
	}
	return answer, err
}

func (d *Directory) memberOf(c graphCall, set string) (graphAnswer, error) {
	o, err := d.member(c)
	if err != nil {
		return graphAnswer{}, err
	}
	m := d.groups.Load()
	in := m.of(o.objectID())
	if c.rest == "memberof" {
		in = slices.Clone(m.parents[key(o.objectID())])
	}
	all, err := d.objects(c, in)
	if err != nil {
		return graphAnswer{}, err
	}
	return d.listObjects(c, set+"/"+o.objectID()+"/"+c.rest, all)
}

// listMembers serves groups/{id}/members, owners and transitiveMembers.
func (d *Directory) listMembers(c graphCall, name string) (graphAnswer, error) {
	g, err := d.readGroup(c, "groups/"+name+"/read")
	if err != nil {
		return graphAnswer{}, fmt.Errorf("read group: %w", err)
	}
	wanted := *g.list(name)
	if name == "transitivemembers" {
		m := d.groups.Load()
		wanted = nil
		for id := range m.parents {
			if slices.Contains(m.of(id), key(g.ObjectID)) {
				wanted = append(wanted, id)
			}
		}
	}
	all, err := d.objects(c, wanted)
	if err != nil {
		return graphAnswer{}, err
	}
	return d.listObjects(c, "groups/"+g.ObjectID+"/"+name, all)
}

// idList is a collection of plain ids.
type idList struct {
	Context string   `json:"@odata.context"`
	Value   []string `json:"value"`
}

func idsAnswer(found []string) graphAnswer {
	if found == nil {
		found = []string{}
	}
	return graphAnswer{http.StatusOK, idList{graphContext + "Collection(Edm.String)", found}}
}

// memberAndBody reads the object that a call asks about, and its body.
func (d *Directory) memberAndBody(c graphCall) (object, graphBody, error) {
	o, err := d.member(c)
	if err != nil {
		return nil, nil, err
	}
	body, err := c.body()
	return o, body, err
}

func (d *Directory) getMemberGroups(c graphCall) (graphAnswer, error) {
	o, body, err := d.memberAndBody(c)
	if err != nil {
		return graphAnswer{}, err
	}
	var securityOnly bool // all groups are security groups
	if err := errors.Join(body.take("securityEnabledOnly", &securityOnly), body.finish(c.rest)); err != nil {
		return graphAnswer{}, err
	}
	return idsAnswer(d.GroupsOf(o.objectID())), nil
}

func (d *Directory) checkMemberGroups(c graphCall) (graphAnswer, error) {
	o, body, err := d.memberAndBody(c)
	if err != nil {
		return graphAnswer{}, err
	}
	var wanted, objects []string
	if err := errors.Join(body.take("groupIds", &wanted), body.take("ids", &objects), body.finish(c.rest)); err != nil {
		return graphAnswer{}, err
	}
	wanted = append(wanted, objects...)
	if len(wanted) == 0 || len(wanted) > maxIDs {
		return graphAnswer{}, azerr.GraphBadRequest(fmt.Sprintf("Between 1 and %d ids must be given.", maxIDs))
	}
	in := d.GroupsOf(o.objectID())
	var found []string
	for _, id := range wanted {
		if slices.Contains(in, key(id)) {
			found = append(found, id)
		}
	}
	return idsAnswer(found), nil
}

// ownedObjects serves /me/ownedObjects: groups are what can be owned.
func (d *Directory) ownedObjects(c graphCall) (graphAnswer, error) {
	var all []object
	err := d.store.View(c.Context(), func(tx store.Tx) error {
		groups, err := store.ListJSON[group](tx, bucketGroups, "")
		for _, g := range groups {
			if slices.Contains(g.Owners, key(c.caller.ObjectID)) {
				all = append(all, g)
			}
		}
		return err
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("list owned objects: %w", err)
	}
	return d.listObjects(c, "me/ownedObjects", all)
}

// graphDirectoryObjects serves directoryObjects: getByIds, with which clients
// find the names behind role assignments, single objects and their groups.
func (d *Directory) graphDirectoryObjects(c graphCall) (graphAnswer, error) {
	switch {
	case strings.EqualFold(c.key, "getByIds") && c.rest == "":
		if c.Method != http.MethodPost {
			return graphAnswer{}, azerr.GraphMethodNotAllowed(c.Method)
		}
		return d.getByIDs(c)
	case c.named() && c.appID == "" && c.rest == "" && c.Method == http.MethodGet:
		if err := d.permit(c.Context(), c.caller, "servicePrincipals/standard/read"); err != nil {
			return graphAnswer{}, err
		}
		found, err := d.objects(c, []string{c.key})
		if err != nil {
			return graphAnswer{}, err
		}
		if len(found) == 0 {
			return graphAnswer{}, azerr.GraphResourceNotFound(c.id())
		}
		return one(c.URL.Query(), "directoryObjects", "directoryObject", found[0].typed(d.tenantID))
	case c.named() && c.appID == "" && c.rest != "":
		return d.graphMembership(c, "directoryObjects")
	}
	return graphAnswer{}, azerr.GraphNotSupported("'directoryObjects/" + quoted(joined(c.key, c.rest)) + "' with method " + quoted(c.Method))
}

// getByIDs answers the objects of the asked ids and types; unknown ids are left out.
func (d *Directory) getByIDs(c graphCall) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "servicePrincipals/standard/read"); err != nil {
		return graphAnswer{}, err
	}
	body, err := c.body()
	if err != nil {
		return graphAnswer{}, err
	}
	var wanted, types []string
	if err := errors.Join(body.take("ids", &wanted), body.take("types", &types), body.finish("getByIds")); err != nil {
		return graphAnswer{}, err
	}
	if len(wanted) > maxIDs {
		return graphAnswer{}, azerr.GraphBadRequest(fmt.Sprintf("At most %d ids can be given.", maxIDs))
	}
	all, err := d.objects(c, wanted)
	if err != nil {
		return graphAnswer{}, err
	}
	out := graphList{Context: graphContext + "directoryObjects", Value: []any{}}
	for _, o := range all {
		isType := func(t string) bool {
			return strings.EqualFold(t, "directoryObject") || strings.EqualFold(t, string(o.entry().Type))
		}
		if len(types) == 0 || slices.ContainsFunc(types, isType) {
			out.Value = append(out.Value, o.typed(d.tenantID))
		}
	}
	return graphAnswer{http.StatusOK, out}, nil
}
