package vault

import (
	"encoding/base64"
	"net/url"
	"strconv"

	"github.com/kustos-io/kustos/internal/azerr"
)

// pageSize is the default and the most of maxresults.
const pageSize = 25

type page struct {
	Value    any     `json:"value"`
	NextLink *string `json:"nextLink"`
}

// position reads maxresults and $skiptoken.
func (c *call) position() (after string, limit int, err error) {
	q := c.request.URL.Query()
	limit = pageSize
	if text := queryValue(q, "maxresults"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > pageSize {
			return "", 0, azerr.BadParameter("Property 'maxresults' must be a number from 1 to 25.", "")
		}
	}
	if token := queryValue(q, "$skiptoken"); token != "" {
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			return "", 0, azerr.BadParameter("Property '$skiptoken' is not a token of this vault.", "")
		}
		after = string(raw)
	}
	return after, limit, nil
}

// page makes the answer of a list; last is what the next page comes after, ""
// when there is none.
func (c *call) page(items any, last string) page {
	if last == "" {
		return page{Value: items}
	}
	sent := c.request.URL.Query()
	link := c.base + c.request.URL.EscapedPath() + "?api-version=" + url.QueryEscape(c.api.text) +
		"&$skiptoken=" + base64.RawURLEncoding.EncodeToString([]byte(last))
	if n := queryValue(sent, "maxresults"); n != "" {
		link += "&maxresults=" + url.QueryEscape(n)
	}
	return page{Value: items, NextLink: &link}
}

// serveList runs one of the list operations on a page.
func serveList[T, I any](c *call, fetch func(after string, limit int) ([]found[T], bool, error), item func(found[T]) I, key func(found[T]) string) (any, error) {
	after, limit, err := c.position()
	if err != nil {
		return nil, err
	}
	entries, more, err := fetch(after, limit)
	if err != nil {
		return nil, err
	}
	items := make([]I, len(entries))
	for i, f := range entries {
		items[i] = item(f)
	}
	last := ""
	if more {
		last = key(entries[len(entries)-1])
	}
	return c.page(items, last), nil
}
