package arm

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/ids"
)

func TestParsePathRefuses(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/", "//", "/subscriptions/s/resourceGroups/a%2Fb", "/subscriptions/s/resourceGroups/a%2fproviders%2fb", "/a%00b", "/%zz",
		"/subscriptions/s/providers/A.B/c/d/providers", "/subscriptions/s/resourcegroups//x", "/subscriptions/s/resourceGroups//providers/A.B/c/d"} {
		if id, action, err := parsePath(path, http.MethodGet); err == nil {
			t.Errorf("%q parses to %s %q", path, id, action)
		}
	}
}

// What is parsed names exactly the segments that were sent: nothing a caller
// writes moves the id to another scope.
func FuzzParsePath(f *testing.F) {
	for _, seed := range []string{
		"/subscriptions/s/resourceGroups/g/providers/Microsoft.Kusto//clusters/c", "/subscriptions/s/resourcegroups/g/deployments/d/operations",
		"/subscriptions/s/providers/A.B/register", "/providers/A.B", "/subscriptions/s/resourceGroups/providers/providers/A.B/c/d", "/tenants",
		"/subscriptions/s%2Fx/y", "/subscriptions/s/resourceGroups/g/providers/A.B/c/d/providers/E.F/g/h/action", "/%2e%2e/x",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, path string, post bool) {
		method := http.MethodGet
		if post {
			method = http.MethodPost
		}
		id, action, err := parsePath(path, method)
		if err != nil {
			return
		}
		if action != "" && !post {
			t.Fatalf("%q: action %q of a GET", path, action)
		}
		sent, err := splitPath(path)
		if err != nil {
			t.Fatal(err)
		}
		var named []string
		own := is(id.Namespace, namespace) && id.Subscription == "" && id.Parent == nil && !is(sent[0], "providers")
		text := id.String()
		if own {
			text = strings.TrimPrefix(text, "/providers/"+namespace)
		} else if len(sent) <= 2 || id.Parent == nil && is(sent[0], "providers") && len(id.Segments) > 0 && is(id.Segments[0].Type, "providers") {
			return // the registration documents of the tenant
		}
		named = strings.Split(strings.Trim(text, "/"), "/")
		if action != "" {
			named = append(named, action)
		}
		got, want := strings.ToLower(strings.Join(named, "/")), strings.ToLower(strings.Join(sent, "/"))
		alias := strings.Replace(got, "/providers/microsoft.resources/deployments/", "/deployments/", 1)
		if strings.Trim(got, "/") != want && strings.Trim(alias, "/") != want {
			t.Fatalf("%q parses to %s + %q", path, id, action)
		}
		subscription, group := home(id)
		if subscription != "" && (len(sent) < 2 || !is(sent[1], subscription)) || group != "" && (len(sent) < 4 || !is(sent[3], group)) {
			t.Fatalf("%q lives in %q %q", path, subscription, group)
		}
	})
}

// A printed id, escaped, parses back to itself in any casing of the keywords.
func TestParsePathReadsIDs(t *testing.T) {
	t.Parallel()
	name := rapid.StringMatching(`[A-Za-z0-9 ._%()é+-]{1,12}`).Filter(func(s string) bool { return !is(s, "providers") })
	rapid.Check(t, func(t *rapid.T) {
		id := ids.ID{Subscription: name.Draw(t, "sub"), ResourceGroup: name.Draw(t, "group"), Namespace: "Contoso.Toys"}
		for range rapid.IntRange(1, 3).Draw(t, "depth") {
			id = id.Child(rapid.StringMatching(`[a-z]{1,6}`).Draw(t, "type"), name.Draw(t, "name"))
		}
		var escaped strings.Builder
		for i, s := range strings.Split(strings.Trim(id.String(), "/"), "/") {
			slash := "/"
			if i != 3 { // "resourceGroups//name" is a group without a name, as in Azure
				slash = rapid.SampledFrom([]string{"/", "//"}).Draw(t, "slash")
			}
			escaped.WriteString(slash + url.PathEscape(s))
		}
		got, action, err := parsePath(strings.Replace(escaped.String(), "resourceGroups", "RESOURCEGROUPS", 1), http.MethodGet)
		if err != nil || action != "" || got.String() != id.String() {
			t.Fatalf("%s parses to %s, %q, %v", escaped.String(), got, action, err)
		}
	})
}

func TestVersionOrder(t *testing.T) {
	t.Parallel()
	version := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"2020-01-01", "2020-12-31", "2024-02-29"}).Draw(t, "date") + rapid.SampledFrom([]string{"", "-preview", "-alpha", "-beta"}).Draw(t, "suffix")
	})
	rapid.Check(t, func(t *rapid.T) {
		known := newestFirst(rapid.SliceOfN(version, 1, 6).Draw(t, "known"))
		asked := version.Draw(t, "asked")
		v, ok := parseVersion(asked)
		if !ok {
			t.Fatalf("%s is malformed", asked)
		}
		shape, ok := shapeFor(v, known)
		newest, _ := parseVersion(known[0])
		oldest, _ := parseVersion(known[len(known)-1])
		switch {
		case v.compare(newest) >= 0 && shape != known[0]:
			t.Fatalf("%s of %v is shaped by %s", asked, known, shape)
		case v.date >= oldest.date && v.suffix == "" && !ok:
			t.Fatalf("%s of %v is refused", asked, known)
		case v.date < oldest.date && ok:
			t.Fatalf("%s of %v is shaped by %s", asked, known, shape)
		}
		if ok {
			if s, _ := parseVersion(shape); s.date > v.date {
				t.Fatalf("%s of %v is shaped by the newer %s", asked, known, shape)
			}
		}
	})
	for _, bad := range []string{"", "2024-02-30", "2024-1-1", "2024-01-01-", "2024-01-01 ", "2024-01-01-preview-2", "v1", "2024-01-01T00:00:00Z"} {
		if v, ok := parseVersion(bad); ok {
			t.Errorf("%q parses to %+v", bad, v)
		}
	}
}
