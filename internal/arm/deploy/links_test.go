package deploy_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/kustos-io/kustos/internal/arm/deploy"
	"github.com/kustos-io/kustos/internal/azerr"
)

func TestTemplateRoot(t *testing.T) {
	t.Parallel()
	root := deploy.TemplateRoot{FS: fstest.MapFS{"a/b.json": {Data: []byte("x")}}}
	for uri, want := range map[string]bool{
		"https://templates.localhost/a/b.json": true, "https://TEMPLATES.localhost//a/./b.json?sig=1": true, "https://templates.localhost/a/../a/b.json": true,
		"http://templates.localhost/a/b.json": false, "https://templates.localhost:8443/a/b.json": false, "https://u@templates.localhost/a/b.json": false,
		"https://example.com/a/b.json": false, "https://templates.localhost/../a/c.json": false, "https://templates.localhost/": false, "file:///a/b.json": false, "a/b.json": false,
	} {
		data, err := root.Fetch(t.Context(), uri)
		if (err == nil) != want || want && string(data) != "x" {
			t.Errorf("%s: %q %v", uri, data, err)
		}
		if err != nil && !errors.Is(err, deploy.ErrNoLink) {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

func TestLinkedTemplates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.ops.Close()
		files := fstest.MapFS{
			"main.json": {Data: []byte(doc(`[{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "child", "properties": {"mode": "Incremental",
				"templateLink": {"relativePath": "sub/child.json", "contentVersion": "1.0.0.0"}, "parameters": {"n": {"value": "[parameters('n')]"}}}}]`,
				`, "parameters": {"n": {"type": "string"}}, "outputs": {"o": {"type": "string", "value": "[reference('child').outputs.o.value]"}, "me": {"type": "string", "value": "[deployment().properties.templateLink.uri]"}}`))},
			"sub/child.json": {Data: []byte(doc(`[{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "[parameters('n')]", "properties": {}}] /* a comment */`,
				`, "parameters": {"n": {"type": "string"}}, "outputs": {"o": {"type": "string", "value": "[uri(deployment().properties.templateLink.uri, 'next.json')]"}}`))},
			"bad.json":    {Data: []byte("{\n  \"variables\": {\"a\": [1 2]}\n}")},
			"short.json":  {Data: []byte("{\n  \"$schema\": \"https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#\",\n  \"resources\": []\n}")},
			"odd.json":    {Data: []byte(doc(`[]`, `, "parameterss": {}`))},
			"values.json": {Data: []byte(`{"$schema": "x", "contentVersion": "1.0.0.0", "parameters": {"n": {"value": "linked"}}}`)},
		}
		r.links = deploy.TemplateRoot{FS: files}
		r.start()
		defer func() { r.ops.Close() }()
		id := group + deployments + "d1"
		body := `{"properties": {"mode": "Incremental", "templateLink": {"uri": "https://templates.localhost/main.json", "queryString": "sig=hidden"}, "parametersLink": {"uri": "https://templates.localhost/values.json"}}}`
		list, _ := r.whatIf(id, body)
		if !slices.Equal(list, []string{"Create linked"}) {
			t.Error(list)
		}
		got := r.deploy(id, body)
		if o := compact(at(got, "properties", "outputs")); o != `{"me":{"type":"String","value":"https://templates.localhost/main.json"},"o":{"type":"String","value":"https://templates.localhost/sub/next.json"}}` {
			t.Error(compact(got))
		}
		if compact(at(got, "properties", "templateLink")) != `{"uri":"https://templates.localhost/main.json"}` || strings.Contains(compact(got), "hidden") {
			t.Error(compact(got))
		}
		for link, want := range map[string]string{
			`{"uri": "https://templates.localhost/none.json"}`:                              "InvalidContentLink",
			`{"uri": "https://example.com/main.json"}`:                                      "InvalidContentLink",
			`{"uri": "https://templates.localhost/main.json", "contentVersion": "2.0.0.0"}`: "InvalidTemplate",
			`{"relativePath": "main.json"}`:                                                 "InvalidContentLink",
		} {
			_, err := r.do(http.MethodPut, id, "", `{"properties": {"mode": "Incremental", "templateLink": `+link+`}}`)
			if azerr.From(err) == nil || azerr.From(err).Code != want {
				t.Errorf("%s: %v", link, err)
			}
		}
		for file, want := range map[string]string{
			"bad.json":   "Deployment template parse failed: 'After parsing a value an unexpected character was encountered: 2. Path 'variables.a[0]', line 2, position 24.'.",
			"short.json": "Deployment template parse failed: 'Required property 'contentVersion' not found in JSON. Path '', line 4, position 1.'.",
			"odd.json":   "Deployment template parse failed: 'Could not find member 'parameterss' on object of type 'Template'. Path 'parameterss', line 1, position 155.'.",
		} {
			_, err := r.do(http.MethodPut, id, "", `{"properties": {"mode": "Incremental", "templateLink": {"uri": "https://templates.localhost/`+file+`"}}}`)
			if wire := azerr.From(err); wire == nil || wire.Code != "InvalidTemplate" || wire.Message != want {
				t.Errorf("%s: %v", file, err)
			}
		}
		// a template without an address cannot have relatives
		_, err := r.do(http.MethodPut, id, "", request(string(files["main.json"].Data), `{"n": {"value": "x"}}`))
		if wire := azerr.From(err); wire == nil || wire.Code != "InvalidTemplate" {
			t.Error(err)
		}
	})
}

func TestOnErrorDeployment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer func() { r.ops.Close() }()
		thing := func(n, props string) string {
			return doc(`[{"type": "Test.Sync/things", "apiVersion": "2020-01-01", "name": "`+n+`", "properties": {`+props+`}}]`, `, "parameters": {"p": {"type": "string", "defaultValue": "v"}}`)
		}
		fail := func(onError string) string {
			return strings.Replace(request(thing("bad", `"fail": "no"`), ""), `{"mode"`, `{"onErrorDeployment": `+onError+`, "mode"`, 1)
		}
		if _, err := r.do(http.MethodPut, group+deployments+"new", "", fail(`{"type": "LastSuccessful"}`)); azerr.From(err) == nil || azerr.From(err).Code != "DeploymentNotFound" {
			t.Error(err)
		}
		r.deploy(group+deployments+"good", request(thing("a", ""), ""))
		r.deploy(group+deployments+"other", request(thing("b", ""), ""))
		got := r.deploy(group+deployments+"new", fail(`{"type": "SpecificDeployment", "deploymentName": "good"}`))
		if at(got, "properties", "provisioningState") != "Failed" || compact(at(got, "properties", "onErrorDeployment")) != `{"deploymentName":"good","provisioningState":"Succeeded","type":"SpecificDeployment"}` {
			t.Error(compact(got))
		}
		if w := r.front.writes; !slices.Equal(w, []string{"PUT a", "PUT b", "PUT bad", "PUT a", "DELETE b"}) {
			t.Error(w)
		}
	})
}
