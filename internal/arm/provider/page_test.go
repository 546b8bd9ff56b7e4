package provider_test

import (
	"net/url"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/ids"
)

// The pages of a list, one after the other, are the list.
func TestPagesAreTheList(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOf(rapid.Int()).Draw(t, "items")
		query := url.Values{"$TOP": {rapid.StringMatching("[1-9]").Draw(t, "top")}, "api-version": {"2021-04-01"}}
		var got []int
		for range len(items) + 1 {
			req := &provider.Request{BaseURL: "https://h", ID: ids.ID{Namespace: "N", Segments: []ids.Segment{{Type: "t x"}}}, Query: query}
			page, err := provider.ParsePage(req)
			if err != nil {
				t.Fatal(err)
			}
			some, next := provider.Paged(req, page, items)
			got = append(got, some...)
			if next == "" {
				break
			}
			u, err := url.Parse(next)
			if err != nil || u.Path != "/providers/N/t x" {
				t.Fatalf("%s: %v", next, err)
			}
			query = u.Query()
		}
		if !slices.Equal(got, items) {
			t.Fatalf("%v, want %v", got, items)
		}
	})
}

func FuzzPage(f *testing.F) {
	f.Add("1", "")
	f.Add("-1", "MTI")
	f.Add("", "LTE")
	f.Fuzz(func(t *testing.T, top, token string) {
		req := &provider.Request{Query: url.Values{"$top": {top}, "$skiptoken": {token}}}
		page, err := provider.ParsePage(req)
		if err == nil && (page.Top < 0 || page.Offset < 0) {
			t.Errorf("%q %q: %+v", top, token, page)
		}
		if err == nil {
			provider.Paged(req, page, []int{1, 2, 3})
		}
	})
}
