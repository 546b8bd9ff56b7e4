package resources_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestGroups(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	at := sub + "/resourcegroups/"
	long := strings.Repeat("g", 91)
	for _, step := range []struct {
		name, method, path, body string
		status                   int
		want                     string // in the body
	}{
		{"none yet", "HEAD", at + "rg1", "", 404, ""},
		{"get none", "GET", at + "rg1", "", 404, `"ResourceGroupNotFound"`},
		{"delete none", "DELETE", at + "rg1", "", 404, `"ResourceGroupNotFound"`},
		{"patch none", "PATCH", at + "rg1", `{}`, 404, `"ResourceGroupNotFound"`},
		{"create", "PUT", at + "Rg1", `{"location":"West Europe","tags":{"a":"1"}}`, 201,
			`{"id":"` + sub + `/resourceGroups/Rg1","name":"Rg1","type":"Microsoft.Resources/resourceGroups","location":"westeurope","tags":{"a":"1"},"properties":{"provisioningState":"Succeeded"}}`},
		{"again, other case", "PUT", at + "RG1", `{"location":"westeurope","properties":{"provisioningState":"x"},"managedBy":null}`, 200, `"name":"Rg1","type":"Microsoft.Resources/resourceGroups","location":"westeurope","properties"`},
		{"head", "HEAD", at + "rg1", "", 204, ""},
		{"patch", "PATCH", at + "rg1", `{"tags":{"b":"2"}}`, 200, `"tags":{"b":"2"}`},
		{"patch nothing", "PATCH", at + "rg1", `{}`, 200, `"tags":{"b":"2"}`},
		{"moved", "PUT", at + "rg1", `{"location":"eastus"}`, 409, `"InvalidResourceGroupLocation"`},
		{"moved by patch", "PATCH", at + "rg1", `{"location":"eastus"}`, 409, `"InvalidResourceGroupLocation"`},
		{"no location", "PUT", at + "rg2", `{}`, 400, `"LocationRequired"`},
		{"null location", "PUT", at + "rg2", `{"location":null}`, 400, `"LocationRequired"`},
		{"bad location", "PUT", at + "rg2", `{"location":"mars"}`, 400, `"LocationNotAvailableForResourceGroup"`},
		{"location a number", "PUT", at + "rg2", `{"location":1}`, 400, `"InvalidRequestContent"`},
		{"unknown member", "PUT", at + "rg2", `{"location":"eastus","size":3}`, 400, `Could not find member 'size'`},
		{"bad tag", "PUT", at + "rg2", `{"location":"eastus","tags":{"a<":"1"}}`, 400, `"InvalidTagName"`},
		{"tag twice", "PUT", at + "rg2", `{"location":"eastus","tags":{"a":"1","A":"2"}}`, 400, `"InvalidTagName"`},
		{"tag a list", "PUT", at + "rg2", `{"location":"eastus","tags":["a"]}`, 400, `"InvalidRequestContent"`},
		{"final period", "PUT", at + "rg2.", `{"location":"eastus"}`, 400, `"InvalidResourceGroup"`},
		{"blank", "PUT", at + "r g", `{"location":"eastus"}`, 400, `"InvalidResourceGroup"`},
		{"long", "PUT", at + long, `{"location":"eastus"}`, 400, `"InvalidResourceGroup"`},
		{"longest", "PUT", at + long[1:], `{"location":"eastus"}`, 201, ""},
		{"letters of the world", "PUT", at + "Grüße_(1)-x.y", `{"location":"eastus","tags":{"a":"1","env":"x"}}`, 201, ""},
	} {
		a := h.do(t, step.method, step.path+v, step.body)
		if a.status != step.status || !strings.Contains(a.body, step.want) {
			t.Errorf("%s: %d %s\nwant %d %s", step.name, a.status, a.body, step.status, step.want)
		}
	}
	for query, want := range map[string]string{
		"": "gggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg Grüße_(1)-x.y Rg1",
		"&$filter=tagName eq 'a' and tagValue eq '1'": "Grüße_(1)-x.y",
		"&$filter=tagName%20eq%20'b'":                 "Rg1",
		"&%24filter=tagName+eq+%27B%27":               "Rg1",
	} {
		if got := h.do(t, "GET", sub+"/resourceGroups"+v+query, "").names(); got != want {
			t.Errorf("list %s: %q, want %q", query, got, want)
		}
	}
	if a := h.do(t, "GET", sub+"/resourceGroups"+v+"&$filter=name eq 'a'", ""); a.code() != "InvalidFilterInQueryString" {
		t.Errorf("filter by name: %s", a.body)
	}
	for _, action := range []string{"invent"} {
		if a := h.do(t, "POST", at+"rg1/"+action+v, `{}`); a.code() != "OperationNotSupported" || !strings.Contains(a.body, action) {
			t.Errorf("%s: %d %s", action, a.status, a.body)
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	for _, name := range []string{"b", "A", "c"} {
		h.group(t, name)
	}
	next, got := sub+"/resourcegroups"+v+"&$top=2", []string{}
	for next != "" {
		a := h.do(t, "GET", next, "")
		got = append(got, a.names())
		next, _ = a.json["nextLink"].(string)
		if next != "" && !strings.HasPrefix(next, "https://management.azure.com"+sub+"/resourcegroups?") {
			t.Fatalf("nextLink %s", next)
		}
	}
	if diff := cmp.Diff([]string{"A b", "c"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, bad := range []string{"$top=0", "$top=x", "$skiptoken=%25"} {
		if a := h.do(t, "GET", sub+"/resourcegroups"+v+"&"+bad, ""); a.code() != "InvalidQueryParameterValue" {
			t.Errorf("%s: %s", bad, a.body)
		}
	}
}

// follow polls the Location of a deletion to its end.
func (h *house) follow(t *testing.T, location string) answer {
	t.Helper()
	for {
		a := h.do(t, "GET", location, "")
		if a.status != 202 {
			return a
		}
		if a.header.Get("Location") == "" || a.header.Get("Retry-After") != "1" {
			t.Fatalf("202 without its headers: %v", a.header)
		}
		time.Sleep(time.Second)
	}
}

func TestDeleteGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.group(t, "rg1")
		h.group(t, "rg2")
		h.put(t, "Contoso.Base", "rg1", "vault")
		h.put(t, "Contoso.Top", "rg1", "cluster")
		h.put(t, "Contoso.Top", "rg1", "sticky")
		h.put(t, "Contoso.Top", "rg2", "other")
		h.top.refuse["sticky"] = 3
		a := h.do(t, "DELETE", sub+"/resourcegroups/RG1"+v, "")
		location := a.header.Get("Location")
		if a.status != 202 || a.body != "" || !strings.HasPrefix(location, "https://management.azure.com"+sub+"/operationresults/") {
			t.Fatalf("%d %s %v", a.status, a.body, a.header)
		}
		if again := h.do(t, "DELETE", sub+"/resourcegroups/rg1"+v, ""); again.header.Get("Location") != location {
			t.Errorf("a second DELETE leads to %q", again.header.Get("Location"))
		}
		if a := h.do(t, "GET", sub+"/resourcegroups/rg1"+v, ""); !strings.Contains(a.body, `"provisioningState":"Deleting"`) {
			t.Errorf("while it runs: %s", a.body)
		}
		for path, body := range map[string]string{"/resourcegroups/rg1" + v: `{"location":"westeurope"}`, strings.TrimPrefix(thing("Contoso.Top", "rg1", "late"), sub) + "?api-version=2024-01-01": `{}`} {
			if a := h.do(t, "PUT", sub+path, body); a.code() != "ResourceGroupBeingDeleted" {
				t.Errorf("PUT %s while it runs: %d %s", path, a.status, a.body)
			}
		}
		if end := h.follow(t, location); end.status != 200 || end.body != "" {
			t.Errorf("end: %d %s", end.status, end.body)
		}
		// what uses others goes first, what is refused is tried again
		if diff := cmp.Diff([]string{"cluster", "vault", "sticky"}, h.log); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if diff := cmp.Diff([]string{sub + "/resourceGroups/rg1"}, h.unassigned); diff != "" {
			t.Errorf("role assignments removed (-want +got)\n%s", diff)
		}
		if a := h.do(t, "GET", sub+"/resourcegroups/rg1"+v, ""); a.status != 404 {
			t.Errorf("after: %d", a.status)
		}
		if got := h.do(t, "GET", sub+"/resources"+v, "").names(); got != "other" {
			t.Errorf("left: %q", got)
		}
		if a := h.do(t, "GET", sub+"/operationresults/nothing"+v, ""); a.status != 404 {
			t.Errorf("unknown operation: %d", a.status)
		}
	})
}

func TestDeleteGroupFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.group(t, "rg1")
		h.put(t, "Contoso.Top", "rg1", "stuck")
		h.put(t, "Contoso.Base", "rg1", "free")
		h.top.refuse["stuck"] = 1 << 30
		a := h.do(t, "DELETE", sub+"/resourcegroups/rg1"+v, "")
		end := h.follow(t, a.header.Get("Location"))
		if end.status != 409 || end.code() != "ResourceGroupDeletionFailed" || !strings.Contains(end.body, thing("Contoso.Top", "rg1", "stuck")) || !strings.Contains(end.body, "stuck is in use") {
			t.Errorf("end: %d %s", end.status, end.body)
		}
		if a := h.do(t, "GET", sub+"/resourcegroups/rg1"+v, ""); !strings.Contains(a.body, `"Succeeded"`) {
			t.Errorf("the group: %d %s", a.status, a.body)
		}
		h.put(t, "Contoso.Top", "rg1", "more") // it lives
	})
}

// A restart in the middle goes on where it was.
func TestDeleteGroupResumes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.group(t, "rg1")
		h.put(t, "Contoso.Top", "rg1", "stuck")
		h.top.refuse["stuck"] = 1 << 30
		location := h.do(t, "DELETE", sub+"/resourcegroups/rg1"+v, "").header.Get("Location")
		time.Sleep(time.Second)
		h.ops.Close()
		if a := h.do(t, "GET", location, ""); a.status != 202 {
			t.Fatalf("after the stop: %d %s", a.status, a.body)
		}
		again := newHouse(t, h.store)
		if err := again.ops.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		if end := again.follow(t, location); end.status != 200 {
			t.Errorf("end: %d %s", end.status, end.body)
		}
		if a := again.do(t, "HEAD", sub+"/resourcegroups/rg1"+v, ""); a.status != 404 {
			t.Errorf("after: %d", a.status)
		}
	})
}

// A write that was admitted before the deletion is not overtaken by it.
func TestDeletionWaitsForWrites(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.group(t, "rg1")
		h.top.onPut = func() { time.Sleep(time.Minute) }
		var deleted answer
		go func() {
			time.Sleep(time.Second)
			deleted = h.do(t, "DELETE", sub+"/resourcegroups/rg1"+v, "")
		}()
		h.put(t, "Contoso.Top", "rg1", "slow")
		synctest.Wait()
		if end := h.follow(t, deleted.header.Get("Location")); end.status != 200 {
			t.Errorf("end: %d %s", end.status, end.body)
		}
		if len(h.top.held) != 0 {
			t.Errorf("left behind: %v", h.top.held)
		}
	})
}
