package provider

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/azerr"
)

// Page is $top and $skiptoken of a list.
type Page struct {
	Top    int // 0 means everything
	Offset int // of the first item
}

// Option is a query option without case ("$Top"), "" when there is none.
func Option(req *Request, name string) string {
	for k, values := range req.Query {
		if strings.EqualFold(k, name) && len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// ParsePage reads the page that a list request asks for.
func ParsePage(req *Request) (Page, error) {
	var p Page
	if text := Option(req, "$top"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return p, azerr.InvalidQueryParameter("$top", text, "a positive number is expected")
		}
		p.Top = n
	}
	if text := Option(req, "$skiptoken"); text != "" {
		after, err := base64.RawURLEncoding.DecodeString(text)
		n, convErr := strconv.Atoi(string(after))
		if err != nil || convErr != nil || n < 0 {
			return p, azerr.InvalidQueryParameter("$skiptoken", text, "it is not a token of this list")
		}
		p.Offset = n
	}
	return p, nil
}

// Paged cuts one page out of items, whose order must be the same each time, and
// returns the link to the next one, "" for the last.
func Paged[T any](req *Request, p Page, items []T) (page []T, nextLink string) {
	items = items[min(p.Offset, len(items)):]
	if p.Top == 0 || len(items) <= p.Top {
		return items, ""
	}
	query := url.Values{}
	for k, values := range req.Query {
		if !strings.EqualFold(k, "$skiptoken") {
			query[k] = values
		}
	}
	query.Set("$skiptoken", base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(p.Offset+p.Top))))
	path := req.ID.String()
	if req.Action != "" {
		path += "/" + req.Action
	}
	return items[:p.Top], req.BaseURL + (&url.URL{Path: path}).EscapedPath() + "?" + query.Encode()
}
