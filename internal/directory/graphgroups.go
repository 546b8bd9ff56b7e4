package directory

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// graphGroup is a group as Graph answers it; all are security groups.
type graphGroup struct {
	ODataType             string   `json:"@odata.type,omitempty"`
	ID                    string   `json:"id"`
	DeletedDateTime       *string  `json:"deletedDateTime"`
	Classification        *string  `json:"classification"`
	CreatedDateTime       string   `json:"createdDateTime"`
	CreationOptions       []string `json:"creationOptions"`
	Description           *string  `json:"description"`
	DisplayName           string   `json:"displayName"`
	GroupTypes            []string `json:"groupTypes"`
	IsAssignableToRole    *bool    `json:"isAssignableToRole"`
	Mail                  *string  `json:"mail"`
	MailEnabled           bool     `json:"mailEnabled"`
	MailNickname          string   `json:"mailNickname"`
	MembershipRule        *string  `json:"membershipRule"`
	OnPremisesSyncEnabled *bool    `json:"onPremisesSyncEnabled"`
	ProxyAddresses        []string `json:"proxyAddresses"`
	RenewedDateTime       string   `json:"renewedDateTime"`
	SecurityEnabled       bool     `json:"securityEnabled"`
	Visibility            *string  `json:"visibility"`
}

func (g group) graph() graphGroup {
	return graphGroup{ID: g.ObjectID, CreatedDateTime: graphTime(g.Created), CreationOptions: []string{}, Description: orNull(g.Description), DisplayName: g.DisplayName,
		GroupTypes: []string{}, MailNickname: g.MailNickname, ProxyAddresses: []string{}, RenewedDateTime: graphTime(g.Created), SecurityEnabled: true}
}

func (g group) typed(string) any {
	out := g.graph()
	out.ODataType = "#microsoft.graph.group"
	return out
}

func (d *Directory) graphGroups(c graphCall) (graphAnswer, error) {
	if c.appID != "" {
		return graphAnswer{}, azerr.GraphBadRequest("The key of 'groups' must be an id.")
	}
	parts := strings.Split(c.rest, "/")
	list := parts[0] == "members" || parts[0] == "owners"
	switch {
	case c.rest == "" && c.Method == http.MethodGet && !c.named():
		return d.listGroups(c)
	case c.rest == "" && c.Method == http.MethodGet:
		return d.getGroup(c)
	case c.rest == "" && c.Method == http.MethodPost && !c.named():
		return d.createGroup(c)
	case c.rest == "" && c.Method == http.MethodPatch && c.named():
		return d.updateGroup(c)
	case c.rest == "" && c.Method == http.MethodDelete && c.named():
		return d.deleteGroup(c)
	case c.rest == "":
		return graphAnswer{}, azerr.GraphMethodNotAllowed(c.Method)
	case list && len(parts) == 1 && c.Method == http.MethodGet, c.rest == "transitivemembers" && c.Method == http.MethodGet:
		return d.listMembers(c, parts[0])
	case list && len(parts) == 2 && parts[1] == "$ref" && c.Method == http.MethodPost:
		return d.addMember(c, parts[0])
	case list && len(parts) == 3 && parts[2] == "$ref" && c.Method == http.MethodDelete:
		return d.removeMember(c, parts[0], parts[1])
	}
	return d.graphMembership(c, "groups")
}

func findGroup(tx store.Tx, c graphCall) (group, error) {
	g, err := read[group](tx, bucketGroups, c.key)
	if errors.Is(err, ErrNotFound) {
		err = azerr.GraphResourceNotFound(c.id())
	}
	return g, err
}

func (d *Directory) listGroups(c graphCall) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "groups/standard/read"); err != nil {
		return graphAnswer{}, err
	}
	var all []group
	err := d.store.View(c.Context(), func(tx store.Tx) (err error) {
		all, err = store.ListJSON[group](tx, bucketGroups, "")
		return err
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("list groups: %w", err)
	}
	return list(c.URL.Query(), "groups", "group", all, func(g group) any { return g.graph() })
}

// readGroup reads the group of a call; its owners may see it as well.
func (d *Directory) readGroup(c graphCall, action string) (group, error) {
	var g group
	err := d.store.View(c.Context(), func(tx store.Tx) (err error) {
		g, err = findGroup(tx, c)
		return err
	})
	if err == nil && slices.Contains(g.Owners, key(c.caller.ObjectID)) {
		return g, nil
	}
	// Who may not read must not learn from the answer whether the group is there.
	if denied := d.permit(c.Context(), c.caller, action); denied != nil {
		return group{}, denied
	}
	return g, err
}

func (d *Directory) getGroup(c graphCall) (graphAnswer, error) {
	g, err := d.readGroup(c, "groups/standard/read")
	if err != nil {
		return graphAnswer{}, fmt.Errorf("read group: %w", err)
	}
	return one(c.URL.Query(), "groups", "group", g.graph())
}

// apply takes the properties of a create or update request into g. bound are
// the object ids that the request binds as members and owners.
func (g *group) apply(body graphBody, create bool) (members, owners []string, err error) {
	var (
		name, nickname, description *string
		mail                        bool
		security                    = true
		refs, ownerRefs             []string
	)
	err = errors.Join(body.take("displayName", &name), body.take("mailNickname", &nickname), body.take("description", &description),
		body.take("mailEnabled", &mail), body.take("securityEnabled", &security), body.take("members@odata.bind", &refs), body.take("owners@odata.bind", &ownerRefs))
	if err == nil {
		var types []string
		var assignable bool
		err = errors.Join(body.take("groupTypes", &types), body.take("isAssignableToRole", &assignable))
		switch {
		case err != nil:
		case mail || !security || len(types) > 0:
			err = azerr.GraphNotSupported("A group that is not a security group with assigned members")
		case assignable:
			err = azerr.GraphNotSupported("A group that directory roles can be assigned to")
		default:
			err = body.finish("Group")
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if name != nil || create {
		if name == nil {
			name = new(string)
		}
		if err := checkDisplayName(*name, "Group"); err != nil {
			return nil, nil, err
		}
		g.DisplayName = *name
	}
	if nickname != nil || create {
		if nickname == nil || *nickname == "" || len(*nickname) > 64 || strings.ContainsAny(*nickname, "@()\\[]\";:<>, ") {
			return nil, nil, azerr.GraphBadRequest("A value of at most 64 characters without spaces is required for property 'mailNickname' of resource 'Group'.")
		}
		g.MailNickname = *nickname
	}
	if description != nil {
		if utf8.RuneCountInString(*description) > 1024 {
			return nil, nil, azerr.GraphBadRequest("The property 'description' of resource 'Group' is longer than 1024 characters.")
		}
		g.Description = *description
	}
	for _, r := range []struct{ refs, into *[]string }{{&refs, &members}, {&ownerRefs, &owners}} {
		for _, ref := range *r.refs {
			id, err := referenced(ref)
			if err != nil {
				return nil, nil, err
			}
			*r.into = append(*r.into, id)
		}
	}
	return members, owners, nil
}

func (d *Directory) createGroup(c graphCall) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "groups/create"); err != nil {
		return graphAnswer{}, err
	}
	return d.writeGroup(c, group{ObjectID: ids.NewGUID(), Created: d.now().UTC()}, true)
}

func (d *Directory) updateGroup(c graphCall) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "groups/basic/update"); err != nil {
		return graphAnswer{}, err
	}
	return d.writeGroup(c, group{}, false)
}

func (d *Directory) writeGroup(c graphCall, g group, create bool) (graphAnswer, error) {
	body, err := c.body()
	if err != nil {
		return graphAnswer{}, err
	}
	err = d.changeGroups(c.Context(), func(tx store.Tx) error {
		if !create {
			if g, err = findGroup(tx, c); err != nil {
				return err
			}
		}
		members, owners, err := g.apply(body, create)
		if err != nil {
			return err
		}
		for _, id := range members {
			if err := g.add(tx, "members", id); err != nil {
				return err
			}
		}
		for _, id := range owners {
			if err := g.add(tx, "owners", id); err != nil {
				return err
			}
		}
		return putGroup(tx, g)
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("write group: %w", err)
	}
	d.log.InfoContext(c.Context(), "group written", "group", g.ObjectID, "created", create, "principal", c.caller.ObjectID)
	if create {
		return graphAnswer{http.StatusCreated, withContext("groups", g.graph())}, nil
	}
	return graphAnswer{status: http.StatusNoContent}, nil
}

func (d *Directory) deleteGroup(c graphCall) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "groups/delete"); err != nil {
		return graphAnswer{}, err
	}
	var g group
	err := d.changeGroups(c.Context(), func(tx store.Tx) (err error) {
		if g, err = findGroup(tx, c); err != nil {
			return err
		}
		if err := tx.Delete(bucketGroups, key(g.ObjectID)); err != nil {
			return err
		}
		return leaveGroups(tx, g.ObjectID)
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("delete group: %w", err)
	}
	d.log.InfoContext(c.Context(), "group deleted", "group", g.ObjectID, "principal", c.caller.ObjectID)
	return graphAnswer{status: http.StatusNoContent}, nil
}

// referenced takes the object id out of an @odata.id.
func referenced(ref string) (string, error) {
	u, err := url.Parse(ref)
	if err == nil && (u.Host == "" || strings.EqualFold(u.Host, "graph.microsoft.com")) {
		parts := strings.Split(strings.Trim(u.Path, "/"), "/")
		if n := len(parts); n >= 2 && ids.IsGUID(parts[n-1]) {
			switch strings.ToLower(parts[n-2]) {
			case "directoryobjects", "users", "groups", "serviceprincipals":
				return key(parts[n-1]), nil
			}
		}
	}
	return "", azerr.GraphBadRequest(fmt.Sprintf("Invalid URL format specified in @odata.id for reference update: '%s'.", quoted(ref)))
}

// list is the members or the owners.
func (g *group) list(name string) *[]string {
	if name == "owners" {
		return &g.Owners
	}
	return &g.Members
}

// add puts an object into the members or the owners.
func (g *group) add(tx store.Tx, name, id string) error {
	o, err := findObject(tx, id)
	if errors.Is(err, ErrNotFound) {
		return azerr.GraphResourceNotFound(quoted(id))
	}
	if err != nil {
		return err
	}
	to := g.list(name)
	switch {
	case slices.Contains(*to, key(id)):
		return azerr.GraphReferenceExists(name)
	case name == "owners" && o.entry().Type == TypeGroup:
		return azerr.GraphBadRequest("A group cannot be an owner of a group.")
	case key(id) == key(g.ObjectID):
		return azerr.GraphBadRequest("A group cannot be a member of itself.")
	case len(*to) >= maxGroupMembers:
		return azerr.GraphBadRequest(fmt.Sprintf("A group has at most %d %s.", maxGroupMembers, name))
	}
	*to = append(*to, key(id))
	return nil
}

// changeMembers admits owners besides those with the directory right.
func (d *Directory) changeMembers(c graphCall, name string, change func(store.Tx, *group) error) error {
	owner := false
	if g, err := d.readGroup(c, "groups/"+name+"/update"); err != nil {
		return err
	} else if slices.Contains(g.Owners, key(c.caller.ObjectID)) {
		owner = true
	}
	return d.changeGroups(c.Context(), func(tx store.Tx) error {
		g, err := findGroup(tx, c)
		if err != nil {
			return err
		}
		if owner && !slices.Contains(g.Owners, key(c.caller.ObjectID)) {
			return azerr.GraphRequestDenied() // not any more
		}
		if err := change(tx, &g); err != nil {
			return err
		}
		return putGroup(tx, g)
	})
}

func (d *Directory) addMember(c graphCall, name string) (graphAnswer, error) {
	body, err := c.body()
	if err != nil {
		return graphAnswer{}, err
	}
	var ref string
	if err := errors.Join(body.take("@odata.id", &ref), body.finish("reference")); err != nil {
		return graphAnswer{}, err
	}
	id, err := referenced(ref)
	if err != nil {
		return graphAnswer{}, err
	}
	if err := d.changeMembers(c, name, func(tx store.Tx, g *group) error { return g.add(tx, name, id) }); err != nil {
		return graphAnswer{}, fmt.Errorf("add to group: %w", err)
	}
	d.log.InfoContext(c.Context(), "group "+name+" changed", "group", c.key, "added", id, "principal", c.caller.ObjectID)
	return graphAnswer{status: http.StatusNoContent}, nil
}

func (d *Directory) removeMember(c graphCall, name, id string) (graphAnswer, error) {
	err := d.changeMembers(c, name, func(_ store.Tx, g *group) error {
		from := g.list(name)
		i := slices.Index(*from, key(id))
		if i < 0 {
			return azerr.GraphResourceNotFound(quoted(id))
		}
		*from = slices.Delete(*from, i, i+1)
		return nil
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("remove from group: %w", err)
	}
	d.log.InfoContext(c.Context(), "group "+name+" changed", "group", c.key, "removed", id, "principal", c.caller.ObjectID)
	return graphAnswer{status: http.StatusNoContent}, nil
}
