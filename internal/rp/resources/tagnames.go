package resources

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/store"
)

// tagBucket holds the tag names and values that a subscription has predefined:
// {subscription}/{name in lower case} → predefined.
const tagBucket = "resources.tagnames"

type predefined struct {
	Name   string
	Values []string
}

type tagName struct {
	ID      string     `json:"id"`
	TagName string     `json:"tagName"`
	Count   count      `json:"count"`
	Values  []tagValue `json:"values"`
}

type tagValue struct {
	ID       string `json:"id"`
	TagValue string `json:"tagValue"`
	Count    count  `json:"count"`
}

// tagNames are the predefined names and those in use, with how often.
func (p *Provider) tagNames(ctx context.Context, subscription string) ([]tagName, error) {
	var known []predefined
	var used []map[string]string
	err := p.Store.View(ctx, func(tx store.Tx) (err error) {
		if known, err = store.ListJSON[predefined](tx, tagBucket, strings.ToLower(subscription)+"/"); err != nil {
			return err
		}
		groups, err := scope.Groups(tx, subscription)
		for _, g := range groups {
			used = append(used, g.Tags)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read tag names: %w", err)
	}
	all, err := p.all(ctx, subscription, "")
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		used = append(used, r.Tags)
	}
	var out []tagName
	at := func(name string) *tagName {
		i := slices.IndexFunc(out, func(t tagName) bool { return strings.EqualFold(t.TagName, name) })
		if i < 0 {
			out = append(out, tagName{ID: "/subscriptions/" + subscription + "/tagNames/" + name, TagName: name, Count: count{Type: "Total"}, Values: []tagValue{}})
			i = len(out) - 1
		}
		return &out[i]
	}
	value := func(t *tagName, text string) *tagValue {
		i := slices.IndexFunc(t.Values, func(v tagValue) bool { return v.TagValue == text })
		if i < 0 {
			t.Values = append(t.Values, tagValue{ID: t.ID + "/tagValues/" + text, TagValue: text, Count: count{Type: "Total"}})
			i = len(t.Values) - 1
		}
		return &t.Values[i]
	}
	for _, k := range known {
		for _, v := range k.Values {
			value(at(k.Name), v)
		}
		at(k.Name)
	}
	for _, tags := range used {
		for name, v := range tags {
			t := at(name)
			t.Count.Value++
			value(t, v).Count.Value++
		}
	}
	slices.SortFunc(out, func(a, b tagName) int { return cmp.Compare(strings.ToLower(a.TagName), strings.ToLower(b.TagName)) })
	for _, t := range out {
		slices.SortFunc(t.Values, func(a, b tagValue) int { return cmp.Compare(a.TagValue, b.TagValue) })
	}
	return out, nil
}

func (p *Provider) listTagNames(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	page, err := parsePage(req)
	if err != nil {
		return nil, err
	}
	all, err := p.tagNames(ctx, where(req))
	if err != nil {
		return nil, err
	}
	return provider.OK(paged(req, page, all, func(t tagName) string { return strings.ToLower(t.TagName) }))
}

// tagRoute is the name and the value ("" for none) of a request.
func tagRoute(req *provider.Request) (name, value string) {
	name = req.ID.Segments[1].Name
	if len(req.ID.Segments) > 2 {
		value = req.ID.Segments[2].Name
	}
	return name, value
}

func tagKey(req *provider.Request, name string) string {
	return strings.ToLower(where(req) + "/" + name)
}

func (p *Provider) putTagName(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	name, value := tagRoute(req)
	if err := provider.CheckTag(name, value); err != nil {
		return nil, err
	}
	status := http.StatusOK
	err := p.Store.Update(ctx, func(tx store.Tx) error {
		k, err := store.GetJSON[predefined](tx, tagBucket, tagKey(req, name))
		switch {
		case errors.Is(err, store.ErrNotFound) && value != "":
			return azerr.TagNameNotFound(name)
		case errors.Is(err, store.ErrNotFound):
			k, status = predefined{Name: name}, http.StatusCreated
		case err != nil:
			return err
		}
		if value != "" && !slices.Contains(k.Values, value) {
			k.Values, status = append(k.Values, value), http.StatusCreated
		}
		return store.PutJSON(tx, tagBucket, tagKey(req, name), k)
	})
	if err != nil {
		return nil, fmt.Errorf("store tag name: %w", err)
	}
	t, v, err := p.findTag(ctx, req)
	if err != nil {
		return nil, err
	}
	if value != "" {
		return &provider.Response{Status: status, Body: v}, nil
	}
	return &provider.Response{Status: status, Body: t}, nil
}

// findTag is the name and the value of a request as a list shows them.
func (p *Provider) findTag(ctx context.Context, req *provider.Request) (t tagName, v tagValue, err error) {
	name, value := tagRoute(req)
	all, err := p.tagNames(ctx, where(req))
	for _, t = range all {
		if strings.EqualFold(t.TagName, name) {
			for _, v = range t.Values {
				if v.TagValue == value {
					return t, v, err
				}
			}
			return t, tagValue{}, err
		}
	}
	return tagName{}, tagValue{}, err
}

// deleteTagName forgets a predefined name or value that nothing has.
func (p *Provider) deleteTagName(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	name, value := tagRoute(req)
	t, v, err := p.findTag(ctx, req)
	if err != nil {
		return nil, err
	}
	if inUse := t.Count.Value; value == "" && inUse > 0 || value != "" && v.Count.Value > 0 {
		return nil, azerr.TagInUse(name)
	}
	status := http.StatusOK
	err = p.Store.Update(ctx, func(tx store.Tx) error {
		k, err := store.GetJSON[predefined](tx, tagBucket, tagKey(req, name))
		switch {
		case errors.Is(err, store.ErrNotFound):
			status = http.StatusNoContent
			return nil
		case err != nil:
			return err
		case value == "":
			return tx.Delete(tagBucket, tagKey(req, name))
		}
		i := slices.Index(k.Values, value)
		if i < 0 {
			status = http.StatusNoContent
			return nil
		}
		k.Values = slices.Delete(k.Values, i, i+1)
		return store.PutJSON(tx, tagBucket, tagKey(req, name), k)
	})
	if err != nil {
		return nil, fmt.Errorf("delete tag name: %w", err)
	}
	return &provider.Response{Status: status}, nil
}

// count is how often a tag is used.
type count struct {
	Type  string `json:"type"`
	Value int    `json:"value"`
}
