package resources

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
	"github.com/kustos-io/kustos/internal/rp/resources/filter"
	"github.com/kustos-io/kustos/internal/store"
)

type group struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Type       string            `json:"type"`
	Location   string            `json:"location"`
	Tags       map[string]string `json:"tags,omitzero"`
	ManagedBy  string            `json:"managedBy,omitempty"`
	Properties groupProperties   `json:"properties"`
}

type groupProperties struct {
	ProvisioningState string `json:"provisioningState"`
}

func wireGroup(g scope.Group) group {
	state := "Succeeded"
	if g.Deleting != "" {
		state = "Deleting"
	}
	return group{ID: g.ID().String(), Name: g.Name, Type: namespace + "/resourceGroups", Location: string(g.Location),
		Tags: g.Tags, ManagedBy: g.ManagedBy, Properties: groupProperties{state}}
}

func (p *Provider) getGroup(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var g scope.Group
	err := p.Store.View(ctx, func(tx store.Tx) (err error) {
		g, err = findGroup(tx, req)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read resource group: %w", err)
	}
	return provider.OK(wireGroup(g))
}

// findGroup returns the group that a request names, or ResourceGroupNotFound.
func findGroup(tx store.Tx, req *provider.Request) (scope.Group, error) {
	g, err := scope.FindGroup(tx, where(req), req.ID.Name())
	if errors.Is(err, scope.ErrNoGroup) {
		return g, azerr.ResourceGroupNotFound(req.ID.Name())
	}
	return g, err
}

func (p *Provider) listGroups(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	expr, err := parseFilter(req, "tagName", "tagValue")
	if err != nil {
		return nil, err
	}
	page, err := parsePage(req)
	if err != nil {
		return nil, err
	}
	var stored []scope.Group
	err = p.Store.View(ctx, func(tx store.Tx) (err error) {
		stored, err = scope.Groups(tx, where(req))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list resource groups: %w", err)
	}
	var found []group
	for _, g := range stored {
		if expr == nil || expr.Match(filter.Subject{Name: g.Name, Location: string(g.Location), Tags: g.Tags}) {
			found = append(found, wireGroup(g))
		}
	}
	return provider.OK(paged(req, page, found, func(g group) string { return strings.ToLower(g.Name) }))
}

// groupBody is a PUT or PATCH; nil means absent, JSON null too.
type groupBody struct {
	Location  *string
	ManagedBy *string
	Tags      map[string]string
}

// readGroup checks members by name, as the service does: one that it does not
// know is an error.
func readGroup(body json.RawMessage) (groupBody, error) {
	var b groupBody
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return b, azerr.InvalidRequestContent("An object is expected").Because(err)
	}
	for name, value := range members {
		var err error
		switch strings.ToLower(name) {
		case "location":
			err = json.Unmarshal(value, &b.Location)
		case "managedby":
			err = json.Unmarshal(value, &b.ManagedBy)
		case "tags":
			b.Tags, err = provider.ParseTags(value)
		case "id", "name", "type", "properties": // what a client read is sent back
		default:
			return b, azerr.InvalidRequestContent(fmt.Sprintf("Could not find member '%s' on object of type 'ResourceGroupDefinition'. Path '%s'", name, name))
		}
		if e := new(azerr.Error); errors.As(err, &e) {
			return b, e
		}
		if err != nil {
			return b, azerr.InvalidRequestContent(fmt.Sprintf("The value of '%s' is not of the expected type. Path '%s'", name, name)).Because(err)
		}
	}
	return b, nil
}

func (p *Provider) putGroup(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	name := req.ID.Name()
	if !validGroupName(name) {
		return nil, azerr.InvalidResourceGroupName(name)
	}
	body, err := readGroup(req.Body)
	if err != nil {
		return nil, err
	}
	if body.Location == nil || *body.Location == "" {
		return nil, azerr.LocationRequired()
	}
	l := ids.ParseLocation(*body.Location)
	if !l.Known() {
		return nil, azerr.LocationNotAvailableForResourceGroup(*body.Location, locationNames())
	}
	status := http.StatusOK
	var g scope.Group
	err = p.Store.Update(ctx, func(tx store.Tx) error {
		g, err = scope.FindGroup(tx, where(req), name)
		switch {
		case errors.Is(err, scope.ErrNoGroup):
			status = http.StatusCreated
			g = scope.Group{Subscription: where(req), Name: name, Location: l, Created: p.Now().UTC()}
		case err != nil:
			return err
		case g.Deleting != "":
			return azerr.ResourceGroupBeingDeleted(g.Name)
		case g.Location != l:
			return azerr.InvalidResourceGroupLocation(g.Name, string(g.Location), string(l))
		}
		g.Tags, g.ManagedBy, g.Changed = body.Tags, "", p.Now().UTC()
		if body.ManagedBy != nil {
			g.ManagedBy = *body.ManagedBy
		}
		return scope.PutGroup(tx, g)
	})
	if err != nil {
		return nil, fmt.Errorf("store resource group: %w", err)
	}
	return &provider.Response{Status: status, Body: wireGroup(g)}, nil
}

func (p *Provider) patchGroup(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	body, err := readGroup(req.Body)
	if err != nil {
		return nil, err
	}
	var g scope.Group
	err = p.Store.Update(ctx, func(tx store.Tx) error {
		g, err = findGroup(tx, req)
		if err != nil {
			return err
		}
		if g.Deleting != "" {
			return azerr.ResourceGroupBeingDeleted(g.Name)
		}
		if body.Location != nil && ids.ParseLocation(*body.Location) != g.Location {
			return azerr.InvalidResourceGroupLocation(g.Name, string(g.Location), *body.Location)
		}
		if body.Tags != nil {
			g.Tags = body.Tags
		}
		if body.ManagedBy != nil {
			g.ManagedBy = *body.ManagedBy
		}
		g.Changed = p.Now().UTC()
		return scope.PutGroup(tx, g)
	})
	if err != nil {
		return nil, fmt.Errorf("store resource group: %w", err)
	}
	return provider.OK(wireGroup(g))
}

// validGroupName: 1 to 90 letters, digits, '_', '-', '.', '(' and ')', no
// period at the end.
func validGroupName(name string) bool {
	runes := []rune(name)
	if len(runes) == 0 || len(runes) > 90 || runes[len(runes)-1] == '.' {
		return false
	}
	return !slices.ContainsFunc(runes, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.()", r)
	})
}

func locationNames() []string {
	var names []string
	for _, l := range ids.Locations() {
		names = append(names, string(l))
	}
	return names
}
