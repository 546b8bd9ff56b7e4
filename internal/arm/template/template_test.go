package template_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/arm/template"
	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// compile reads a whole request, as the engine does.
func compile(t testing.TB, request string) (*template.Program, error) {
	t.Helper()
	root, err := relaxed.Parse([]byte(request))
	if err != nil {
		t.Fatalf("%s: %v", request, err)
	}
	props := root.Get("properties")
	given, err := template.GivenFrom(props.Get("parameters"), "properties.parameters", nil)
	if err != nil {
		return nil, err
	}
	return template.Compile(template.Source{
		Template: props.Get("template"), Path: "properties.template", Given: given, Library: eval.NewLibrary(), Scope: testScope(), Name: "d1", Mode: "Incremental",
		Fresh:  &eval.Fresh{Now: time.Unix(1700000000, 0), NewGUID: func() string { return "11111111-2222-4333-8444-555555555555" }},
		Budget: &eval.Budget{Steps: 1_000_000}, // less than the service's, so that what exceeds it does so soon
	})
}

// request is a deployment's body; each argument but the last is a member of the template.
func request(parameters string, members ...string) string {
	return "{\n  \"properties\": {\n    \"mode\": \"Incremental\", \"parameters\": {" + parameters + "},\n    template: {\n      \"$schema\": \"https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#\",\n      \"contentVersion\": \"1.0.0.0\",\n      " +
		strings.Join(members, ",\n      ") + "\n    }\n  }\n}"
}

const (
	empty = `"resources": []`
	v2    = `"languageVersion": "2.0"`
)

func thing(name, rest string) string {
	return `{"type": "A.B/things", "apiVersion": "2020-01-01", "name": "` + name + `"` + rest + `}`
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(run with -update after reading the difference)\n%s", diff)
	}
}

// plan compiles and describes the resources: id, dependencies, condition.
func plan(t *testing.T, members ...string) []string {
	t.Helper()
	p, err := compile(t, request("", members...))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range p.Resources {
		s := strings.TrimPrefix(r.ID, testScope().ID()+"/providers/")
		for _, i := range r.Needs {
			s += " <" + p.Resources[i].Name
		}
		if !r.Condition {
			s += " off"
		}
		if r.Existing {
			s += " existing"
		}
		out = append(out, s)
	}
	return out
}

func TestResources(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		members []string
		want    []string
	}{
		"children": {[]string{`"resources": [` + thing("a", `, "resources": [{"type": "kids", "apiVersion": "2020-01-01", "name": "k", "dependsOn": ["a"], "resources": [{"type": "toys", "apiVersion": "2020-01-01", "name": "t"}]},
			{"type": "A.B/things/kids", "apiVersion": "2020-01-01", "name": "a/full"}]`) + `]`},
			[]string{"A.B/things/a", "A.B/things/a/kids/k <a", "A.B/things/a/kids/k/toys/t", "A.B/things/a/kids/full"}},
		"ways to depend": {[]string{`"resources": [` + thing("a", "") + `, {"type": "A.B/things/kids", "apiVersion": "2020-01-01", "name": "a/k"}, ` + thing("[concat('l', copyIndex(1))]", `, "copy": {"name": "loop", "count": 2}`) + `,` + thing("off", `, "condition": false`) + `,` +
			thing("z", `, "dependsOn": ["A.B/things/a", "A.B/things/kids/a/k", "LOOP", "[resourceId('a.b/THINGS', 'l1')]", "off", ""]`) + `]`},
			[]string{"A.B/things/a", "A.B/things/a/kids/k", "A.B/things/l1", "A.B/things/l2", "A.B/things/off off", "A.B/things/z <a <a/k <l1 <l2"}},
		"references": {[]string{`"resources": [` + thing("a", "") + `,` + thing("b", "") + `,` +
			thing("c", `, "properties": {"x": "[if(true(), reference('a').x, reference('b').x)]", "y": "[concat(listKeys(resourceId('A.B/things', 'b'), '2020-01-01').k, reference('/subscriptions/x/providers/A.B/things/elsewhere', '1').q)]"}`) + `]`},
			[]string{"A.B/things/a", "A.B/things/b", "A.B/things/c <a <b"}},
		"laziness": {[]string{`"resources": [` + thing("a", "") + `,` + thing("c", `, "properties": {"x": "[if(false(), reference('a').x, 1)]"}`) + `]`}, []string{"A.B/things/a", "A.B/things/c"}},
		"extension": {[]string{`"resources": [` + thing("a", "") + `, {"type": "C.D/marks", "apiVersion": "2020-01-01", "name": "m", "scope": "A.B/things/a"}, {"type": "A.B/things/providers/marks", "apiVersion": "2020-01-01", "name": "a/C.D/n"},
			{"type": "C.D/marks", "apiVersion": "2020-01-01", "name": "m", "scope": "/"}, {"type": "C.D/marks", "apiVersion": "2020-01-01", "name": "m", "scope": "[subscription().id]"}]`},
			[]string{"A.B/things/a", "A.B/things/a/providers/C.D/marks/m", "A.B/things/a/providers/C.D/marks/n", "/providers/C.D/marks/m", "/subscriptions/6d1f1c9e-6d5f-4d33-8c46-0a9f6a7b1c2d/providers/C.D/marks/m"}},
		"nested scopes": {[]string{`"resources": [{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "n", "resourceGroup": "other", "properties": {"mode": "Incremental", "template": ` + doc2(empty) + `}},
			{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "n", "subscriptionId": "11111111-2222-3333-4444-555555555555", "location": "westeurope", "properties": {"mode": "Incremental", "template": ` + doc2(empty) + `}}]`},
			[]string{"/subscriptions/6d1f1c9e-6d5f-4d33-8c46-0a9f6a7b1c2d/resourceGroups/other/providers/Microsoft.Resources/deployments/n", "/subscriptions/11111111-2222-3333-4444-555555555555/providers/Microsoft.Resources/deployments/n"}},
		"symbols": {[]string{v2, `"resources": {"one": ` + thing("a", "") + `, "many": ` + thing("[format('m{0}', copyIndex())]", `, "copy": {"name": "many", "count": 3}`) + `, "none": ` + thing("[format('n{0}', copyIndex())]", `, "copy": {"name": "none", "count": 0}`) +
			`, "old": ` + thing("e", `, "existing": true, "dependsOn": ["one"]`) + `, "last": ` + thing("z", `, "dependsOn": ["old", "many[1]", "none"], "properties": {"x": "[reference('many[2]').x]", "y": "[resourceInfo('one').id]"}`) + `}`},
			[]string{"A.B/things/a", "A.B/things/m0", "A.B/things/m1", "A.B/things/m2", "A.B/things/e <a existing", "A.B/things/z <m1 <m2 <e"}},
		"names that are wrong but off": {[]string{`"resources": [` + thing("[first(createArray())]", `, "condition": false`) + `,` + thing("b", `, "condition": false, "scope": "x"`) + `]`}, []string{" off", " off"}},
	} {
		if diff := cmp.Diff(c.want, plan(t, c.members...)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	p, err := compile(t, request(`"p": {"value": "[not evaluated]"}`, `"parameters": {"P": {"type": "string"}, "n": {"type": "object", "defaultValue": {"a": ["[parameters('p')]", "[[x]"]}}}`,
		`"variables": {"copy": [{"name": "v", "count": 2, "input": "[copyIndex('v', 1)]"}], "o": {"copy": [{"name": "w", "count": 2, "input": {"i": "[copyIndex()]"}}], "k": 1}}`,
		`"resources": [`+thing("[concat('a', copyIndex())]", `, "copy": {"name": "loop", "count": 1}, "comments": "no", "tags": {"[concat('k', 'ey')]": "[parameters('p')]", "none": "[null()]"},
			"properties": {"n": "[parameters('n')]", "v": "[variables('v')]", "o": "[variables('o')]", "copy": [{"name": "list", "count": 2, "input": "[format('{0}.{1}', copyIndex(), copyIndex('list'))]"}], "deep": {"copy": "a plain property", "null": null}}`)+`]`))
	if err != nil {
		t.Fatal(err)
	}
	body, err := p.Body(p.Resources[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"tags":{"key":"[not evaluated]"},"properties":{"n":{"a":["[not evaluated]","[x]"]},"v":[1,2],"o":{"w":[{"i":0},{"i":1}],"k":1},"list":["0.0","0.1"],"deep":{"copy":"a plain property"}}}`
	if diff := cmp.Diff(want, value.JSON(body)); diff != "" {
		t.Error(diff)
	}
}

func TestUserFunctions(t *testing.T) {
	t.Parallel()
	functions := `"functions": [{"namespace": "My", "members": {
		"twice": {"parameters": [{"name": "s", "type": "string"}], "output": {"type": "string", "value": "[concat(parameters('s'), parameters('s'))]"}},
		"four": {"parameters": [{"name": "s", "type": "string"}], "output": {"type": "string", "value": "[my.twice(MY.Twice(parameters('s')))]"}},
		"ever": {"parameters": [], "output": {"type": "string", "value": "[my.ever()]"}},
		"var": {"parameters": [], "output": {"type": "string", "value": "[variables('v')]"}},
		"num": {"parameters": [], "output": {"type": "int", "value": "x"}}}}]`
	for call, want := range map[string]string{
		"my.twice('a')": `"aa"`, "MY.FOUR('a')": `"aaaa"`,
		"my.twice(1)": "The argument for the parameter 's' of the template function 'My.twice' is not valid: Expected a value of type 'String, Uri', but received a value of type 'Integer'. Please see https://aka.ms/arm-user-functions for usage details.",
		"my.twice()":  "The template function 'My.twice' expects 1 argument(s) while 0 were provided. Please see https://aka.ms/arm-user-functions for usage details.",
		"my.ever()":   "The template function 'My.ever' calls itself or too many others. Please see https://aka.ms/arm-user-functions for usage details.",
		"my.var()":    "The template function 'variables' is not expected at this location. Please see https://aka.ms/arm-functions for usage details.",
		"my.num()":    "The output of the template function 'My.num' is not valid: Expected a value of type 'Integer', but received a value of type 'String'. Please see https://aka.ms/arm-user-functions for usage details.",
	} {
		p, err := compile(t, request("", v2, functions, `"resources": {}`, `"outputs": {"o": {"type": "string", "value": "[`+call+`]"}}`))
		if err != nil {
			t.Fatal(err)
		}
		out, failed, err := p.Outputs(nil)
		got := ""
		switch {
		case err != nil:
			t.Fatal(err)
		case len(failed) > 0:
			got = failed[0].Err.Error()
		default:
			got = value.JSON(out[0].Value)
		}
		if got != want {
			t.Errorf("%s\n got    %s\n wanted %s", call, got, want)
		}
	}
}

func TestOutputs(t *testing.T) {
	t.Parallel()
	p, err := compile(t, request("", v2, `"parameters": {"none": {"type": "string", "nullable": true}}`, `"resources": {}`, `"outputs": {
		"off": {"condition": false, "type": "string", "value": "[fail('no')]"}, "list": {"type": "array", "copy": {"count": 2, "input": {"n": "[copyIndex()]"}}},
		"null": {"type": "string", "nullable": true, "value": "[parameters('none')]"}, "secret": {"type": "secureObject", "value": {"a": 1}}, "float": {"type": "string", "value": "[float('1.5')]"},
		"short": {"type": "string", "minLength": 3, "value": "ab"}, "kind": {"type": "int", "value": "1"}, "wide": {"type": "int", "value": "[json('9223372036854775808')]"}, "late": {"type": "string", "value": "[fail('stop')]"}}`))
	if err != nil {
		t.Fatal(err)
	}
	out, failed, err := p.Outputs(nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range out {
		got = append(got, fmt.Sprintf("%s %s %v %s", o.Name, o.Type, o.Secure, value.JSON(o.Value)))
	}
	for _, f := range failed {
		got = append(got, f.Name+": "+f.Err.Error())
	}
	want := []string{`list Array false [{"n":0},{"n":1}]`, `null String false null`, `secret SecureObject true {"a":1}`, `float String false 1.5`,
		"short: The value of the output is not valid. Length of the value should be greater than or equal to '3'. Please see https://aka.ms/arm-template/#outputs for usage details.",
		"kind: Template output JToken type is not valid. Expected 'Integer'. Actual 'String'.Please see https://aka.ms/arm-template/#outputs for usage details.",
		"wide: The value of the output is not valid. The value is outside the range of a 64-bit integer. Please see https://aka.ms/arm-template/#outputs for usage details.", "late: stop"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFixedParametersAreNotComputedAgain(t *testing.T) {
	t.Parallel()
	root, err := relaxed.Parse([]byte(doc2(`"parameters": {"g": {"type": "string", "defaultValue": "[newGuid()]"}, "s": {"type": "securestring"}}`, empty)))
	if err != nil {
		t.Fatal(err)
	}
	p, err := template.Compile(template.Source{Template: root, Path: "t", Library: eval.NewLibrary(), Scope: testScope(),
		Fixed: value.Of(value.Member{Name: "g", Value: "kept"}, value.Member{Name: "s", Value: "x"})})
	if err != nil || p.Parameters[0].Value != "kept" || p.Parameters[1].Value != "x" {
		t.Error(p, err)
	}
}

// big is a template of n resources with some twelve expressions each.
func big(n int) string {
	var b strings.Builder
	b.WriteString(`"resources": [`)
	for i := range n {
		if i > 0 {
			b.WriteString(",\n")
		}
		dep := ""
		if i%10 != 0 {
			dep = fmt.Sprintf(`, "dependsOn": ["[resourceId('A.B/things', concat(parameters('prefix'), '%d'))]"]`, i-1)
		}
		fmt.Fprintf(&b, `{"type": "A.B/things", "apiVersion": "2020-01-01", "name": "[concat(parameters('prefix'), '%d')]", "location": "[parameters('location')]"%s,
			"tags": {"a": "[toLower(variables('tag'))]", "b": "[uniqueString(resourceGroup().id, '%d')]"},
			"properties": {"a": "[format('{0}-{1}', parameters('prefix'), %d)]", "b": "[if(equals(mod(%d, 2), 0), 'even', 'odd')]", "c": "[union(createArray('a'), createArray('b'))]",
			"d": {"e": "[variables('object').list[0]]", "f": "[guid(resourceGroup().id, '%d')]", "g": "[take(variables('tag'), 3)]", "h": "[subscription().subscriptionId]", "i": "[length(variables('object').list)]", "j": "[concat('x', string(%d))]"}}}`, i, dep, i, i, i, i, i)
	}
	b.WriteString("]")
	return request("", `"parameters": {"prefix": {"type": "string", "defaultValue": "[concat('n', uniqueString(resourceGroup().id))]"}, "location": {"type": "string", "defaultValue": "[resourceGroup().location]"}}`,
		`"variables": {"tag": "[toUpper('some tag')]", "object": {"list": ["[variables('tag')]", 2, 3]}}`, b.String())
}

func TestBigTemplate(t *testing.T) {
	t.Parallel()
	p, err := compile(t, big(800))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Resources) != 800 || !slices.Equal(p.Resources[7].Needs, []int{6}) || len(p.Resources[10].Needs) != 0 {
		t.Error(len(p.Resources), p.Resources[7].Needs)
	}
}

func FuzzCompile(f *testing.F) {
	for _, c := range refused() {
		if len(c[1]) < 3000 {
			f.Add(c[1])
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		root, err := relaxed.Parse([]byte(text))
		if err != nil || root.Get("properties").Get("template") == nil || len(text) > 4000 {
			return
		}
		p, err := compile(t, text)
		if err != nil {
			return
		}
		for _, r := range p.Resources {
			if r.Condition && r.Unresolved == "" {
				_, _ = p.Body(r, nil)
			}
		}
		_, _, _ = p.Outputs(nil)
	})
}

func BenchmarkCompile(b *testing.B) {
	text := big(800)
	for b.Loop() {
		if _, err := compile(b, text); err != nil {
			b.Fatal(err)
		}
	}
}

// Language version 2.0 has parameters and outputs of any type: what they are
// shown as is what they hold.
func TestUntyped(t *testing.T) {
	t.Parallel()
	const declared = `"parameters": {"p": {"metadata": {"description": "any"}, "nullable": true}, "q": {"allowedValues": [1, "x"], "defaultValue": "x"}}`
	p, err := compile(t, request(`"p": {"value": [1]}`, v2, declared, `"resources": {}`, `"outputs": {"p": {"value": "[parameters('p')]"}, "o": {"value": {"a": 1}}, "b": {"value": true}}`))
	if err != nil {
		t.Fatal(err)
	}
	out, failed, err := p.Outputs(nil)
	if err != nil || len(failed) > 0 {
		t.Fatal(err, failed)
	}
	var got []string
	for _, q := range p.Parameters {
		got = append(got, q.Name+" "+q.Type)
	}
	for _, o := range out {
		got = append(got, o.Name+" "+o.Type)
	}
	if diff := cmp.Diff([]string{"p Array", "q String", "p Array", "o Object", "b Bool"}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := compile(t, request(`"q": {"value": 2}`, v2, declared, `"resources": {}`)); err == nil || !strings.Contains(err.Error(), "not part of the allowed value(s)") {
		t.Error(err)
	}
	if _, err := compile(t, request("", declared, empty)); err == nil || !strings.Contains(err.Error(), "has no 'type'") {
		t.Error(err)
	}
}
