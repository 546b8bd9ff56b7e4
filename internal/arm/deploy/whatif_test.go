package deploy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/arm/template/expr"
)

// whatIf returns the changes as "type id" and the whole answer.
func (r *rig) whatIf(id, body string) ([]string, map[string]any) {
	r.t.Helper()
	resp, err := r.do(http.MethodPost, id, "whatIf", body)
	if err != nil {
		r.t.Fatal(err)
	}
	got := tree(r.t, resp)
	if at(got, "status") != "Succeeded" {
		r.t.Fatal(compact(got))
	}
	var list []string
	for _, ch := range at(got, "properties", "changes").([]any) {
		rid := at(ch, "resourceId").(string)
		list = append(list, at(ch, "changeType").(string)+" "+rid[strings.LastIndexByte(rid, '/')+1:])
	}
	return list, got
}

func TestWhatIf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		id := group + deployments + "d1"
		text := request(doc(`[
			{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "a", "location": "West Europe", "tags": {"k": "v"}, "properties": {"x": "[parameters('x')]", "list": [{"n": 1}, {"n": 2}]}},
			{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "b", "properties": {"from": "[concat(toLower('A'), reference('a').x)]", "secret": "[listKeys('a', '2020-01-01').key]"}},
			{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "inner", "properties": {"mode": "Incremental", "expressionEvaluationOptions": {"scope": "inner"}, "parameters": {"p": {"value": "[reference('a').x]"}},
				"template": `+doc(`[{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "c", "properties": {"y": "[format('<{0}>', parameters('p'))]"}}]`, `, "parameters": {"p": {"type": "string"}}`)+`}}]`,
			`, "parameters": {"x": {"type": "string", "defaultValue": "one"}}`), "")
		list, got := r.whatIf(id, text)
		if diff := cmp.Diff([]string{"Create a", "Create b", "Create c"}, list); diff != "" {
			t.Fatal(diff)
		}
		if after := compact(at(got, "properties", "changes", 1, "after", "properties")); after != `{"from":"[concat('a', reference('a').x)]","secret":"[listKeys('a', '2020-01-01').key]"}` {
			t.Error(after)
		}
		if after := compact(at(got, "properties", "changes", 2, "after", "properties")); after != `{"y":"[format('\u003c{0}\u003e', reference('a').x)]"}` {
			t.Error(after)
		}
		if len(r.front.writes) != 0 {
			t.Error("what-if wrote", r.front.writes)
		}
		text = strings.Replace(text, `, "secret": "[listKeys('a', '2020-01-01').key]"`, "", 1)
		if d := r.deploy(id, text); at(d, "properties", "provisioningState") != "Succeeded" {
			t.Fatal(compact(d))
		}
		// the same again: no change, references included
		list, got = r.whatIf(id, text)
		if diff := cmp.Diff([]string{"NoChange a", "NoChange b", "NoChange c"}, list); diff != "" {
			t.Errorf("%s\n%s", diff, compact(got))
		}
		// another value runs through the references
		list, got = r.whatIf(id, strings.Replace(text, `"parameters": {}`, `"parameters": {"x": {"value": "two"}}`, 1))
		if diff := cmp.Diff([]string{"Modify a", "Modify b", "Modify c"}, list); diff != "" {
			t.Error(diff)
		}
		if d := compact(at(got, "properties", "changes", 2, "delta")); d != `[{"after":"\u003ctwo\u003e","before":"\u003cone\u003e","path":"properties.y","propertyChangeType":"Modify"}]` {
			t.Error(d)
		}
		// arrays by index, tags as a whole, what is left out stays
		list, got = r.whatIf(id, request(doc(`[{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "a", "location": "westeurope", "tags": {"other.tag": "v"}, "properties": {"list": [{"n": 1}, {"n": 3}, {"n": 4}]}}]`, ""), ""))
		if diff := cmp.Diff([]string{"Modify a", "Ignore b", "Ignore c"}, sortTail(list)); diff != "" {
			t.Error(diff)
		}
		want := `[{"children":[{"children":[{"after":3,"before":2,"path":"n","propertyChangeType":"Modify"}],"path":"1","propertyChangeType":"Modify"},` +
			`{"after":{"n":4},"path":"2","propertyChangeType":"Create"}],"path":"properties.list","propertyChangeType":"Array"},` +
			`{"before":"v","path":"tags.k","propertyChangeType":"Delete"},{"after":"v","path":"tags['other.tag']","propertyChangeType":"Create"}]`
		if diff := cmp.Diff(want, compact(at(got, "properties", "changes", 0, "delta"))); diff != "" {
			t.Error(diff)
		}
		// complete mode deletes, and ids alone suffice
		list, got = r.whatIf(id, strings.Replace(strings.Replace(request(doc(`[{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "a", "properties": {}}]`, ""), ""), "Incremental", "Complete", 1), `{"mode"`, `{"whatIfSettings": {"resultFormat": "ResourceIdOnly"}, "mode"`, 1))
		if diff := cmp.Diff([]string{"Deploy a", "Delete b", "Delete c"}, sortTail(list)); diff != "" {
			t.Error(diff)
		}
		if at(got, "properties", "changes", 0, "after") != nil {
			t.Error(compact(got))
		}
	})
}

// What a template leaves out: tags go, and so does everything else of a type
// that a PUT replaces.
func TestWhatIfOfWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string]string{
		"things": `[{"before":{"k":"v"},"path":"tags","propertyChangeType":"Delete"}]`,
		"wholes": `[{"before":1,"path":"properties.a","propertyChangeType":"Delete"},{"children":[{"children":[{"before":2,"path":"m","propertyChangeType":"Delete"}],"path":"0","propertyChangeType":"Modify"}],` +
			`"path":"properties.list","propertyChangeType":"Array"},{"before":2,"path":"properties.o.q","propertyChangeType":"Delete"},{"before":{"k":"v"},"path":"tags","propertyChangeType":"Delete"}]`,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			defer func() { r.ops.Close() }()
			id := group + deployments + "d"
			text := func(rest string) string {
				return request(doc(`[{"type": "Test.Sync/`+typ+`", "apiVersion": "2020-01-01", "name": "a", "location": "westeurope", `+rest+`}]`, ""), "")
			}
			full := text(`"tags": {"k": "v"}, "properties": {"a": 1, "o": {"p": 1, "q": 2}, "list": [{"n": 1, "m": 2}]}`)
			less := text(`"properties": {"o": {"p": 1}, "list": [{"n": 1}]}`)
			r.deploy(id, full)
			if list, got := r.whatIf(id, full); list[0] != "NoChange a" {
				t.Error(compact(got))
			}
			_, got := r.whatIf(id, less)
			if diff := cmp.Diff(want, compact(at(got, "properties", "changes", 0, "delta"))); diff != "" {
				t.Errorf("%s: %s", typ, diff)
			}
			r.deploy(id, less)
			if list, got := r.whatIf(id, less); list[0] != "NoChange a" {
				t.Error(compact(got))
			}
		})
	}
}

func TestWhatIfOfWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	defer func() { r.ops.Close() }()
	list, got := r.whatIf(group+deployments+"d", request(doc(`[{"type": "Test.Blind/things", "apiVersion": "2020-01-01", "name": "a", "properties": {"x": 1}}]`, ""), ""))
	if list[0] != "Unsupported a" || at(got, "properties", "changes", 0, "unsupportedReason") == nil || at(got, "properties", "changes", 0, "after", "properties", "x") != 1.0 {
		t.Error(compact(got))
	}
}

func TestWhatIfAfterAProviderWithItsOwnWords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		id := group + deployments + "d"
		body := func(secret, word string) string {
			return request(doc(`[{"type": "Test.Deaf/things", "apiVersion": "2020-01-01", "name": "a", "properties": {"secret": "`+secret+`", "word": "`+word+`", "list": ["a", "b"]}}]`, ""), "")
		}
		r.deploy(id, body("hush", "w"))
		for _, c := range []struct{ secret, word, want string }{{"hush", "w", "NoChange a"}, {"other", "w", "Modify a"}, {"hush", "v", "Modify a"}} {
			if list, got := r.whatIf(id, body(c.secret, c.word)); list[0] != c.want {
				t.Errorf("%+v: %s", c, compact(got))
			}
		}
		r.front.mu.Lock() // somebody else changes it
		r.front.resources[strings.ToLower(group+"/providers/Test.Deaf/things/a")]["properties"].(map[string]any)["word"] = "X"
		r.front.mu.Unlock()
		if list, _ := r.whatIf(id, body("hush", "w")); list[0] != "Modify a" {
			t.Error(list)
		}
	})
}

// Deploying the same template twice changes nothing, whatever is in it.
func TestDeployTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringMatching(`[a-zA-Z0-9 /:.\[\]'-]{0,8}`)
		var list []string
		for i := range rapid.IntRange(1, 5).Draw(rt, "resources") {
			kind := rapid.SampledFrom([]string{"Sync", "Poll", "Deaf"}).Draw(rt, "kind")
			props := map[string]any{"word": text.Draw(rt, "word"), "n": rapid.Int64().Draw(rt, "n"), "list": rapid.SliceOfN(rapid.Bool(), 0, 3).Draw(rt, "list"),
				"deep": map[string]any{text.Draw(rt, "name") + "x": []any{map[string]any{"a": text.Draw(rt, "a")}}, "none": nil}}
			for k, v := range props {
				if s, ok := v.(string); ok {
					props[k] = expr.Escape(s)
				}
			}
			if i > 0 && rapid.Bool().Draw(rt, "refers") {
				props["ref"] = fmt.Sprintf("[string(reference('r%d').word)]", i-1)
			}
			list = append(list, fmt.Sprintf(`{"type": "Test.%s/things", "apiVersion": "2020-01-01", "name": "r%d", "properties": %s}`, kind, i, compact(props)))
		}
		body := request(doc("["+strings.Join(list, ",")+"]", ""), "")
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			defer func() { r.ops.Close() }()
			if d := r.deploy(group+deployments+"d", body); at(d, "properties", "provisioningState") != "Succeeded" {
				rt.Fatal(compact(d))
			}
			changes, got := r.whatIf(group+deployments+"d", body)
			for _, c := range changes {
				if !strings.HasPrefix(c, "NoChange ") {
					rt.Fatalf("%s\n%s", body, compact(got))
				}
			}
		})
	})
}

// sortTail orders the resources that come from a map.
func sortTail(list []string) []string {
	if len(list) == 3 && list[1] > list[2] {
		list[1], list[2] = list[2], list[1]
	}
	return list
}
