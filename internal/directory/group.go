package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/store"
)

// maxGroupMembers bounds one group: it is one record.
const maxGroupMembers = 10_000

// group is a security group. Its members are users, service principals and
// other groups, by object id in lower case.
type group struct {
	ObjectID     string    `json:"objectId"`
	DisplayName  string    `json:"displayName"`
	Description  string    `json:"description,omitempty"`
	MailNickname string    `json:"mailNickname"`
	Created      time.Time `json:"created"`
	Members      []string  `json:"members,omitempty"`
	// Owners may change the members.
	Owners []string `json:"owners,omitempty"`
}

// membership is an immutable picture of who is in which group.
type membership struct {
	parents map[string][]string // object id → groups it is in directly
}

func newMembership(groups []group) *membership {
	m := &membership{parents: map[string][]string{}}
	for _, g := range groups {
		for _, id := range g.Members {
			m.parents[id] = append(m.parents[id], key(g.ObjectID))
		}
	}
	return m
}

// of returns the groups that id is in, directly or through others, sorted.
// Groups may be in each other.
func (m *membership) of(id string) []string {
	seen := map[string]bool{}
	queue := slices.Clone(m.parents[key(id)])
	var out []string
	for len(queue) > 0 {
		g := queue[0]
		queue = queue[1:]
		if seen[g] {
			continue
		}
		seen[g] = true
		out = append(out, g)
		queue = append(queue, m.parents[g]...)
	}
	slices.Sort(out)
	return out
}

// GroupsOf returns the object ids of all groups that a principal is in,
// directly or through other groups, sorted. It reads no disk.
func (d *Directory) GroupsOf(objectID string) []string { return d.groups.Load().of(objectID) }

// changeGroups runs change in a transaction; when it returns, decisions go by
// the new membership.
func (d *Directory) changeGroups(ctx context.Context, change func(tx store.Tx) error) error {
	d.grouping.Lock()
	defer d.grouping.Unlock()
	var next *membership
	err := d.store.Update(ctx, func(tx store.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		all, err := store.ListJSON[group](tx, bucketGroups, "")
		next = newMembership(all)
		return err
	})
	if err == nil {
		d.groups.Store(next)
	}
	return err
}

func putGroup(tx store.Tx, g group) error {
	return store.PutJSON(tx, bucketGroups, key(g.ObjectID), g)
}

// leaveGroups takes a principal that goes away out of every group.
func leaveGroups(tx store.Tx, objectID string) error {
	all, err := store.ListJSON[group](tx, bucketGroups, "")
	if err != nil {
		return err
	}
	is := func(id string) bool { return id == key(objectID) }
	for _, g := range all {
		if !slices.ContainsFunc(g.Members, is) && !slices.ContainsFunc(g.Owners, is) {
			continue
		}
		g.Members, g.Owners = slices.DeleteFunc(g.Members, is), slices.DeleteFunc(g.Owners, is)
		if err := putGroup(tx, g); err != nil {
			return fmt.Errorf("take %s out of group %s: %w", objectID, g.ObjectID, err)
		}
	}
	return nil
}

// object is a directory object that can be a member: user, group or service principal.
type object interface {
	entity
	// typed is the Graph resource with its @odata.type.
	typed(tenantID string) any
	entry() Entry
}

// findObject finds a user, service principal or group by object id.
func findObject(tx store.Tx, id string) (object, error) {
	if p, err := read[principal](tx, bucketPrincipals, id); !errors.Is(err, ErrNotFound) {
		return p, err
	}
	if u, err := read[user](tx, bucketUsers, id); !errors.Is(err, ErrNotFound) {
		return u, err
	}
	g, err := read[group](tx, bucketGroups, id)
	return g, err
}

func (p principal) entry() Entry {
	return Entry{Type: TypeServicePrincipal, ObjectID: p.ObjectID, AppID: p.AppID, Name: p.DisplayName, ResourceID: p.ResourceID}
}

func (u user) entry() Entry {
	return Entry{Type: TypeUser, ObjectID: u.ObjectID, UPN: u.UPN, Name: u.DisplayName}
}

func (g group) entry() Entry {
	return Entry{Type: TypeGroup, ObjectID: g.ObjectID, Name: g.DisplayName}
}

func (u user) objectID() string  { return u.ObjectID }
func (g group) objectID() string { return g.ObjectID }

func (u user) property(name string) (values []string, collection, known bool) {
	switch name {
	case "id":
		return []string{u.ObjectID}, false, true
	case "userPrincipalName":
		return []string{u.UPN}, false, true
	case "displayName":
		return []string{u.DisplayName}, false, true
	case "mailNickname":
		return []string{u.MailNickname}, false, true
	case "givenName":
		return []string{u.GivenName}, false, true
	case "surname":
		return []string{u.Surname}, false, true
	case "mail":
		return nil, false, true
	case "accountEnabled":
		return []string{boolText(!u.Disabled)}, false, true
	case "userType":
		return []string{"Member"}, false, true
	}
	return nil, false, false
}

func (g group) property(name string) (values []string, collection, known bool) {
	switch name {
	case "id":
		return []string{g.ObjectID}, false, true
	case "displayName":
		return []string{g.DisplayName}, false, true
	case "mailNickname":
		return []string{g.MailNickname}, false, true
	case "securityEnabled":
		return []string{boolText(true)}, false, true
	case "mailEnabled":
		return []string{boolText(false)}, false, true
	case "groupTypes":
		return nil, true, true
	case "mail":
		return nil, false, true
	}
	return nil, false, false
}

func boolText(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// isSelf reports whether id names the caller, "" not.
func isSelf(id, objectID, upn string) bool {
	return id != "" && (strings.EqualFold(id, objectID) || strings.EqualFold(id, upn))
}
