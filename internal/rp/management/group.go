package management

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wire"
)

// groupBody is a PUT or a PATCH, which has the same members on its top level.
type groupBody struct {
	DisplayName   *string
	ParentGroupID *string
	Properties    struct {
		DisplayName *string
		Details     struct {
			Parent struct{ ID *string }
		}
	}
}

// change is what a request wants of a group; nil leaves a member as it is.
type change struct{ displayName, parent *string }

func (p *rp) readChange(req *provider.Request) (change, error) {
	var b groupBody
	if err := json.Unmarshal(req.Body, &b); err != nil {
		return change{}, azerr.InvalidRequestContent("A management group is expected").Because(err)
	}
	c := change{b.Properties.DisplayName, b.Properties.Details.Parent.ID}
	if req.Method == http.MethodPatch {
		c = change{b.DisplayName, b.ParentGroupID}
	}
	if c.displayName != nil && *c.displayName == "" {
		c.displayName = nil
	}
	if c.displayName != nil && len([]rune(*c.displayName)) > 250 {
		return c, azerr.InvalidRequestContent("The display name of a management group can have 250 characters")
	}
	if c.parent != nil && *c.parent == "" {
		c.parent = nil
	}
	if c.parent != nil {
		name, err := groupName(*c.parent)
		if err != nil {
			return c, err
		}
		c.parent = &name
	}
	return c, nil
}

// groupName reads the id of a group.
func groupName(text string) (string, error) {
	id, err := ids.Parse(text)
	if err != nil || !strings.EqualFold(id.Type(), fullType) || !id.IsResource() {
		return "", azerr.InvalidRequestContent(fmt.Sprintf("'%s' is not the id of a management group", text))
	}
	return id.Name(), nil
}

func validName(name string) bool {
	runes := []rune(name)
	return len(runes) > 0 && len(runes) <= 90 && runes[len(runes)-1] != '.' && !slices.ContainsFunc(runes, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.()", r)
	})
}

func (p *rp) put(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	if !validName(req.ID.Name()) {
		return nil, azerr.InvalidManagementGroupName(req.ID.Name())
	}
	return p.write(ctx, req, true)
}

func (p *rp) patch(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	return p.write(ctx, req, false)
}

// write applies a PUT or a PATCH. A new group, and one that is moved, needs a
// right at its parent; a move also one over access to the group itself, because
// it changes who has rights in it.
func (p *rp) write(ctx context.Context, req *provider.Request, create bool) (*provider.Response, error) {
	c, err := p.readChange(req)
	if err != nil {
		return nil, err
	}
	before, err := p.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	old, existed := before.groups[strings.ToLower(req.ID.Name())]
	if !existed && !create {
		return nil, azerr.ManagementGroupNotFound(req.ID.Name())
	}
	if !existed && c.parent == nil {
		c.parent = &p.TenantID
	}
	if existed && create { // the front door asks nothing for a PUT
		if err := provider.Demand(ctx, p.Authorizer, req, fullType+"/write", old.ID()); err != nil {
			return nil, err
		}
	}
	moved := c.parent != nil && !strings.EqualFold(*c.parent, old.Parent)
	if moved {
		if err := p.mayMove(ctx, req, before, old, existed, *c.parent); err != nil {
			return nil, err
		}
	}
	var g scope.ManagementGroup
	err = p.Store.Update(ctx, func(tx store.Tx) error {
		g, err = p.tree.Find(tx, req.ID.Name())
		if errors.Is(err, scope.ErrNoManagementGroup) && create {
			g, err = scope.ManagementGroup{Name: req.ID.Name(), DisplayName: req.ID.Name(), Parent: *c.parent}, nil
		}
		if errors.Is(err, scope.ErrNoManagementGroup) {
			return azerr.ManagementGroupNotFound(req.ID.Name())
		}
		if err != nil {
			return err
		}
		if c.displayName != nil {
			g.DisplayName = *c.displayName
		}
		if moved {
			if g.Parent, err = p.place(tx, g, *c.parent); err != nil {
				return err
			}
		}
		g.Version, g.Updated, g.UpdatedBy = g.Version+1, p.Now().UTC(), req.Principal.ObjectID
		return p.tree.Put(tx, g)
	})
	if err != nil {
		return nil, fmt.Errorf("store management group: %w", err)
	}
	p.Log.InfoContext(ctx, "management group stored", "scope", g.ID().String(), "principal", req.Principal.ObjectID)
	after, err := p.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return provider.OK(after.wire(g))
}

func (p *rp) mayMove(ctx context.Context, req *provider.Request, s snapshot, old scope.ManagementGroup, existed bool, parent string) error {
	to, err := s.find(parent)
	if err != nil {
		return err
	}
	if existed && p.tree.IsRoot(old.Name) {
		return azerr.RootManagementGroupImmutable(old.Name)
	}
	if err := provider.Demand(ctx, p.Authorizer, req, fullType+"/write", to.ID()); err != nil {
		return err
	}
	if !existed {
		return nil
	}
	return provider.Demand(ctx, p.Authorizer, req, "Microsoft.Authorization/roleAssignments/write", old.ID())
}

// place checks that g can be in parent and returns the parent's name as it is
// written.
func (p *rp) place(tx store.Tx, g scope.ManagementGroup, parent string) (string, error) {
	path, err := p.tree.Path(tx, parent)
	if errors.Is(err, scope.ErrNoManagementGroup) {
		return "", azerr.ManagementGroupNotFound(parent)
	}
	if err != nil {
		return "", err
	}
	for _, above := range path {
		if strings.EqualFold(above.Name, g.Name) {
			return "", azerr.ManagementGroupCircle(g.Name, parent)
		}
	}
	all, err := p.tree.All(tx)
	if err != nil {
		return "", err
	}
	if len(path)-1+height(all, g.Name) > scope.MaxDepth {
		return "", azerr.ManagementGroupTooDeep(scope.MaxDepth)
	}
	return path[len(path)-1].Name, nil
}

// height is how many levels a group and what is in it take.
func height(all []scope.ManagementGroup, name string) int {
	most := 0
	for _, g := range all {
		if g.Parent != "" && strings.EqualFold(g.Parent, name) {
			most = max(most, height(all, g.Name))
		}
	}
	return most + 1
}

func (p *rp) delete(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	name := req.ID.Name()
	err := p.Store.Update(ctx, func(tx store.Tx) error {
		if p.tree.IsRoot(name) {
			return azerr.RootManagementGroupImmutable(name)
		}
		g, err := p.tree.Find(tx, name)
		if err != nil {
			return err
		}
		all, err := p.tree.All(tx)
		if err != nil {
			return err
		}
		subscriptions, err := scope.Subscriptions(tx)
		if err != nil {
			return err
		}
		if height(all, g.Name) > 1 || slices.ContainsFunc(subscriptions, func(s scope.Subscription) bool { return strings.EqualFold(s.Parent, g.Name) }) {
			return azerr.ManagementGroupNotEmpty(g.Name)
		}
		if p.Assignments != nil {
			if err := p.Assignments.RemoveScope(tx, g.ID().String()); err != nil {
				return err
			}
		}
		return p.tree.Delete(tx, name)
	})
	if err != nil && !errors.Is(err, scope.ErrNoManagementGroup) {
		return nil, fmt.Errorf("delete management group: %w", err)
	}
	return &provider.Response{Status: http.StatusNoContent}, nil
}

type group struct {
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	Name       string          `json:"name"`
	Properties groupProperties `json:"properties"`
}

type groupProperties struct {
	TenantID    string   `json:"tenantId"`
	DisplayName string   `json:"displayName"`
	Details     *details `json:"details,omitempty"`
	// Children is null unless it was asked for.
	Children *[]child `json:"children,omitempty"`
}

type details struct {
	Version        int           `json:"version"`
	UpdatedTime    string        `json:"updatedTime,omitempty"`
	UpdatedBy      string        `json:"updatedBy,omitempty"`
	Parent         *parent       `json:"parent,omitempty"`
	Path           []pathElement `json:"path,omitempty"`
	Ancestors      []string      `json:"managementGroupAncestors,omitempty"`
	AncestorsChain []pathElement `json:"managementGroupAncestorsChain,omitempty"`
}

type parent struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	DisplayName string `json:"displayName"`
}

type pathElement struct {
	Name        string `json:"name"`
	DisplayName string `json:"displayName"`
}

type child struct {
	Type        string   `json:"type"`
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	DisplayName string   `json:"displayName"`
	Children    *[]child `json:"children,omitempty"`
}

func (s snapshot) wire(g scope.ManagementGroup) group {
	d := &details{Version: g.Version, UpdatedBy: g.UpdatedBy}
	if !g.Updated.IsZero() {
		d.UpdatedTime = wire.Time(g.Updated)
	}
	if up, ok := s.groups[strings.ToLower(g.Parent)]; ok {
		d.Parent = &parent{up.ID().String(), up.Name, up.DisplayName}
	}
	return group{ID: g.ID().String(), Type: fullType, Name: g.Name, Properties: groupProperties{TenantID: s.root, DisplayName: g.DisplayName, Details: d}}
}
