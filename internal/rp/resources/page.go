package resources

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/rp/resources/filter"
)

// page is $top and $skiptoken; Top 0 means everything.
type page struct {
	top   int
	after string // the key of the last item of the page before
}

// option is a query option without case ("$Top").
func option(req *provider.Request, name string) string {
	for k, values := range req.Query {
		if strings.EqualFold(k, name) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

func parsePage(req *provider.Request) (page, error) {
	var p page
	if text := option(req, "$top"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return p, azerr.InvalidQueryParameter("$top", text, "a positive number is expected")
		}
		p.top = n
	}
	if text := option(req, "$skiptoken"); text != "" {
		after, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			return p, azerr.InvalidQueryParameter("$skiptoken", text, "it is not a token of this list")
		}
		p.after = string(after)
	}
	return p, nil
}

// paged cuts one page out of items, which are in ascending order of their keys.
func paged[T any](req *provider.Request, p page, items []T, key func(T) string) list[T] {
	out := list[T]{Value: []T{}}
	for i, item := range items {
		if p.after != "" && key(item) <= p.after {
			continue
		}
		out.Value = append(out.Value, item)
		if len(out.Value) == p.top && i < len(items)-1 {
			out.NextLink = nextLink(req, key(item))
			break
		}
	}
	return out
}

func nextLink(req *provider.Request, after string) string {
	query := url.Values{}
	for k, values := range req.Query {
		if !strings.EqualFold(k, "$skiptoken") {
			query[k] = values
		}
	}
	query.Set("$skiptoken", base64.RawURLEncoding.EncodeToString([]byte(after)))
	path := ""
	for _, s := range req.ID.Segments {
		path += "/" + url.PathEscape(s.Type)
		if s.Name != "" {
			path += "/" + url.PathEscape(s.Name)
		}
	}
	return req.BaseURL + path + "?" + query.Encode()
}

// parseFilter reads $filter; nil when there is none.
func parseFilter(req *provider.Request, allowed ...string) (filter.Expr, error) {
	text := option(req, "$filter")
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	e, err := filter.Parse(text, allowed...)
	if err != nil {
		return nil, azerr.InvalidFilterInQueryString(text, err.Error())
	}
	return e, nil
}
