package template_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/arm/template"
	"github.com/kustos-io/kustos/internal/azerr"
)

// refused are requests that the service refuses; the golden file has its words.
func refused() [][2]string {
	deep := doc2(empty)
	for range 18 {
		deep = doc2(`"resources": [{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "n", "properties": {"mode": "Incremental", "template": ` + deep + `}}]`)
	}
	many := func(n int, one string) string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprintf(one, i)
		}
		return strings.Join(out, ", ")
	}
	return [][2]string{
		{"template is a string", `{"properties": {"mode": "Incremental", "template": "x"}}`},
		{"template is null", `{"properties": {"mode": "Incremental", "template": null}}`},
		{"no schema", `{"properties": {"mode": "Incremental", "template": {"contentVersion": "1.0.0.0", "resources": []}}}`},
		{"odd schema", `{"properties": {"mode": "Incremental", "template": {"$schema": "https://schema.management.azure.com/schemas/2015-01-02/deploymentTemplate.json#", "contentVersion": "1.0.0.0", "resources": []}}}`},
		{"odd member of a parameter", request("", `"parameters": {"p": {"type": "string", "default": "x"}}`, empty)},
		{"a value without its member", request(`"p": "x"`, `"parameters": {"p": {"type": "string"}}`, empty)},
		{"a whole parameter file", request(`"$schema": "https://schema.management.azure.com/schemas/2015-01-01/deploymentParameters.json#", "parameters": {}`, empty)},
		{"odd member of a value", request(`"p": {"balue": 1}`, `"parameters": {"p": {"type": "int"}}`, empty)},
		{"a value of another type in 2.0", request(`"p": {"value": "x"}`, v2, `"parameters": {"p": {"type": "object"}}`, `"resources": {}`)},
		{"no content version", `{"properties": {"mode": "Incremental", "template": {"$schema": "2019-04-01", "resources": []}}}`},
		{"parameters are an array", request("", `"parameters": []`, empty)},
		{"resources are a string", request("", `"resources": "x"`)},
		{"resource is a string", request("", `"resources": ["x"]`)},
		{"outputs are an array", request("", `"outputs": []`, empty)},
		{"parameters that differ in case", request("", `"parameters": {"p": {"type": "int", "defaultValue": 1}, "P": {"type": "int", "defaultValue": 1}}`, empty)},
		{"integer beyond 64 bits", request(`"p": {"value": 9223372036854775808}`, `"parameters": {"p": {"type": "int"}}`, empty)},
		{"number with a fraction", request(`"p": {"value": 1.5}`, `"parameters": {"p": {"type": "int"}}`, empty)},
		{"array wanted", request(`"p": {"value": {}}`, `"parameters": {"p": {"type": "array"}}`, empty)},
		{"object wanted", request(`"p": {"value": []}`, `"parameters": {"p": {"type": "secureObject"}}`, empty)},
		{"allowed values are an object", request("", `"parameters": {"p": {"type": "string", "allowedValues": {}, "defaultValue": "x"}}`, empty)},
		{"constraint is a string", request("", `"parameters": {"p": {"type": "string", "minLength": "1", "defaultValue": "x"}}`, empty)},
		{"default of the wrong type", request("", `"parameters": {"p": {"type": "int", "defaultValue": "[string(1)]"}}`, empty)},
		{"default fails", request("", `"parameters": {"p": {"type": "int", "defaultValue": "[div(1, 0)]"}}`, empty)},
		{"short tuple", request(`"p": {"value": [1]}`, v2, `"parameters": {"p": {"type": "array", "prefixItems": [{"type": "int"}, {"type": "string"}]}}`, `"resources": {}`)},
		{"long tuple", request(`"p": {"value": [1, 2]}`, v2, `"parameters": {"p": {"type": "array", "prefixItems": [{"type": "int"}], "items": false}}`, `"resources": {}`)},
		{"tuple item", request(`"p": {"value": ["x"]}`, v2, `"parameters": {"p": {"type": "array", "prefixItems": [{"type": "int"}]}}`, `"resources": {}`)},
		{"additional property", request(`"p": {"value": {"a": 1, "b": 2}}`, v2, `"parameters": {"p": {"type": "object", "properties": {"a": {"type": "int"}}, "additionalProperties": {"type": "string"}}}`, `"resources": {}`)},
		{"null in a part", request(`"p": {"value": {"a": null}}`, v2, `"parameters": {"p": {"type": "object", "properties": {"a": {"type": "int"}}}}`, `"resources": {}`)},
		{"expression too long", request("", `"variables": {"v": "[concat('`+strings.Repeat("x", 24576)+`')]"}`, empty)},
		{"unterminated string", request("", `"variables": {"v": "[concat('a)]"}`, empty)},
		{"trailing text", request("", `"variables": {"v": "[concat('a') 'b']"}`, empty)},
		{"wrong number of arguments", request("", `"resources": [`+thing("[substring('a')]", "")+`]`)},
		{"wrong type of argument", request("", `"resources": [`+thing("[endsWith(1, 2)]", "")+`]`)},
		{"copy without count", request("", `"resources": [`+thing("n", `, "copy": {"name": "l"}`)+`]`)},
		{"copy is a string", request("", `"resources": [`+thing("n", `, "copy": "l"`)+`]`)},
		{"copy count reads a resource", request("", `"resources": [`+thing("n", `, "copy": {"name": "l", "count": "[length(reference('x').list)]"}`)+`]`)},
		{"copy of the same name", request("", `"resources": [`+thing("n", `, "copy": {"name": "l", "count": 2}`)+`]`)},
		{"variable copy without input", request("", `"variables": {"copy": [{"name": "v", "count": 2}]}`, `"resources": [`+thing("[string(variables('v'))]", "")+`]`)},
		{"property copy without input", request("", `"resources": [`+thing("n", `, "properties": {"copy": [{"name": "l", "count": 1}]}`)+`]`)},
		{"property copy without count", request("", `"resources": [`+thing("n", `, "properties": {"copy": [{"name": "l", "input": 1}]}`)+`]`)},
		{"property copy without name", request("", `"resources": [`+thing("n", `, "properties": {"copy": [{"count": 1, "input": 1}]}`)+`]`)},
		{"property index", request("", `"resources": [`+thing("[createArray(1)[1]]", "")+`]`)},
		{"property of null", request("", `"resources": [`+thing("[null().x]", "")+`]`)},
		{"condition reads a resource", request("", `"resources": [`+thing("n", `, "condition": "[reference('x').on]"`)+`]`)},
		{"location is a number", request("", `"resources": [`+thing("n", `, "location": 5`)+`]`)},
		{"dependsOn is a string", request("", `"resources": [`+thing("n", `, "dependsOn": "x"`)+`]`)},
		{"depends on itself", request("", `"resources": [`+thing("n", `, "dependsOn": ["n"]`)+`]`)},
		{"references in 1.0", request("", `"resources": [`+thing("n", `, "properties": {"x": "[references('l')]"}`)+`]`)},
		{"symbol unknown", request("", v2, `"resources": {"a": `+thing("n", `, "dependsOn": ["b"]`)+`}`)},
		{"nested complete", request("", `"resources": [{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "n", "properties": {"mode": "Complete", "template": `+doc2(empty)+`}}]`)},
		{"nested without a template", request("", `"resources": [{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "n", "properties": {"mode": "Incremental"}}]`)},
		{"nested without a mode", request("", `"resources": [{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "n", "properties": {"template": `+doc2(empty)+`}}]`)},
		{"nested inner scope reads the outer", request("", `"parameters": {"p": {"type": "int", "defaultValue": 1}}`, `"resources": [{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "n", "properties": {"mode": "Incremental", "expressionEvaluationOptions": {"scope": "inner"}, "template": `+doc2(`"resources": [`+thing("[string(parameters('p'))]", "")+`]`)+`}}]`)},
		{"nested scope option", request("", `"resources": [{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "n", "properties": {"mode": "Incremental", "expressionEvaluationOptions": {"scope": "sideways"}, "template": `+doc2(empty)+`}}]`)},
		{"nested subscription", request("", `"resources": [{"type": "Microsoft.Resources/deployments", "apiVersion": "2021-04-01", "name": "n", "subscriptionId": "mine", "properties": {"mode": "Incremental", "template": `+doc2(empty)+`}}]`)},
		{"user function with variables", request("", `"functions": [{"namespace": "n", "members": {"f": {"parameters": [], "output": {"type": "string", "value": "[variables('v')]"}}}}]`, `"variables": {"v": 1}`, `"resources": [`+thing("[n.f()]", "")+`]`)},
		{"user function calls another in 1.0", request("", `"functions": [{"namespace": "n", "members": {"f": {"parameters": [], "output": {"type": "string", "value": "[n.g()]"}}, "g": {"output": {"type": "string", "value": "x"}}}}]`, `"resources": [`+thing("[n.f()]", "")+`]`)},
		{"user function without a namespace", request("", `"functions": [{"members": {}}]`, empty)},
		{"new guid in a resource", request("", `"resources": [`+thing("[newGuid()]", "")+`]`)},
		{"managementGroup at a group", request("", `"resources": [`+thing("[managementGroup().name]", "")+`]`)},
		{"fails on purpose", request("", `"resources": [`+thing("[fail('stop here')]", "")+`]`)},
		{"unknown member", request("", `"resource": []`)},
		{"no resources", request("", `"variables": {}`)},
		{"language version", request("", `"languageVersion": "3.0"`, empty)},
		{"symbolic names in 1.0", request("", `"resources": {}`)},
		{"extensions", request("", v2, `"imports": {"k8s": {"provider": "Kubernetes"}}`, `"resources": {}`)},
		{"too many parameters", request("", `"parameters": {`+many(257, `"p%d": {"type": "int"}`)+`}`, empty)},
		{"too many variables", request("", `"variables": {`+many(257, `"v%d": 1`)+`}`, empty)},
		{"too many outputs", request("", `"outputs": {`+many(65, `"o%d": {"type": "int", "value": 1}`)+`}`, empty)},
		{"too many resources", request("", `"resources": [`+thing("[concat('a', copyIndex())]", `, "copy": {"name": "l", "count": 800}`)+`, `+thing("b", "")+`]`)},
		{"parameter missing", request("", `"parameters": {"p": {"type": "string"}}`, empty)},
		{"parameter unknown", request(`"x": {"value": 1}, "y": {"value": 1}`, `"parameters": {"p": {"type": "string", "defaultValue": ""}}`, empty)},
		{"parameter without value", request(`"p": {}`, `"parameters": {"p": {"type": "string"}}`, empty)},
		{"parameter of the wrong type", request(`"p": {"value": "5"}`, `"parameters": {"p": {"type": "int"}}`, empty)},
		{"string wanted", request(`"p": {"value": 5}`, `"parameters": {"p": {"type": "String"}}`, empty)},
		{"parameter is null", request(`"p": {"value": null}`, `"parameters": {"p": {"type": "bool"}}`, empty)},
		{"type unknown", request("", `"parameters": {"p": {"type": "float", "defaultValue": 1}}`, empty)},
		{"not allowed", request(`"p": {"value": "c"}`, `"parameters": {"p": {"type": "string", "allowedValues": ["a", "b"]}}`, empty)},
		{"secure not allowed", request(`"p": {"value": "hush"}`, `"parameters": {"p": {"type": "securestring", "minLength": 5}}`, empty)},
		{"too long", request(`"p": {"value": "abcd"}`, `"parameters": {"p": {"type": "string", "maxLength": 3}}`, empty)},
		{"too small", request(`"p": {"value": 1}`, `"parameters": {"p": {"type": "int", "minValue": 2}}`, empty)},
		{"too big", request(`"p": {"value": 9}`, `"parameters": {"p": {"type": "int", "maxValue": 2}}`, empty)},
		{"too few items", request(`"p": {"value": []}`, `"parameters": {"p": {"type": "array", "minLength": 1}}`, empty)},
		{"default breaks a rule", request("", `"parameters": {"p": {"type": "string", "defaultValue": "[concat('a', 'b')]", "maxLength": 1}}`, empty)},
		{"default reads a variable", request("", `"parameters": {"p": {"type": "string", "defaultValue": "[variables('v')]"}}`, `"variables": {"v": 1}`, empty)},
		{"default reads a resource", request("", `"parameters": {"p": {"type": "string", "defaultValue": "[reference('v')]"}}`, empty)},
		{"default depends on itself", request("", `"parameters": {"p": {"type": "string", "defaultValue": "[parameters('q')]"}, "q": {"type": "string", "defaultValue": "[parameters('p')]"}}`, empty)},
		{"vault reference", request(`"p": {"reference": {"keyVault": {"id": "/x"}, "secretName": "s"}}`, `"parameters": {"p": {"type": "string"}}`, empty)},
		{"missing property", request(`"p": {"value": {"a": 1}}`, v2, `"definitions": {"d": {"type": "object", "properties": {"a": {"type": "int"}, "b": {"type": "string"}}}}`, `"parameters": {"p": {"$ref": "#/definitions/d"}}`, `"resources": {}`)},
		{"sealed object", request(`"p": {"value": {"a": {"x": 1}}}`, v2, `"parameters": {"p": {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": false}}}}`, `"resources": {}`)},
		{"item type", request(`"p": {"value": [1, "x"]}`, v2, `"parameters": {"p": {"type": "array", "items": {"type": "int"}}}`, `"resources": {}`)},
		{"discriminator", request(`"p": {"value": {"kind": "c"}}`, v2, `"parameters": {"p": {"type": "object", "discriminator": {"propertyName": "kind", "mapping": {"a": {"type": "object"}, "b": {"type": "object"}}}}}`, `"resources": {}`)},
		{"reference to no definition", request("", v2, `"parameters": {"p": {"$ref": "#/definitions/no"}}`, `"resources": {}`)},
		{"circular definition", request(`"p": {"value": 1}`, v2, `"definitions": {"a": {"$ref": "#/definitions/a"}}`, `"parameters": {"p": {"$ref": "#/definitions/a"}}`, `"resources": {}`)},
		{"variable does not parse", request("", `"variables": {"v": "[concat('a', 'b]"}`, empty)},
		{"variable calls nothing", request("", `"variables": {"v": "[nope()]"}`, empty)},
		{"variable reads a resource", request("", `"variables": {"v": "[reference('x')]"}`, `"resources": [`+thing("[variables('v')]", "")+`]`)},
		{"variable depends on itself", request("", `"variables": {"v": "[variables('w')]", "w": {"x": ["[variables('V')]"]}}`, `"resources": [`+thing("[variables('v')]", "")+`]`)},
		{"variable unknown", request("", `"resources": [`+thing("[variables('v')]", "")+`]`)},
		{"parameter unknown in an expression", request("", `"resources": [`+thing("n", `, "properties": {"x": "[parameters('p')]"}`)+`]`)},
		{"copy count", request("", `"variables": {"copy": [{"name": "v", "count": 801, "input": 1}]}`, `"resources": [`+thing("[string(variables('v'))]", "")+`]`)},
		{"negative copy count", request("", `"resources": [`+thing("n", `, "copy": {"name": "l", "count": -1}`)+`]`)},
		{"copy mode", request("", `"resources": [`+thing("n", `, "copy": {"name": "l", "count": 1, "mode": "fast"}`)+`]`)},
		{"copy batch", request("", `"resources": [`+thing("n", `, "copy": {"name": "l", "count": 1, "mode": "serial", "batchSize": 2}`)+`]`)},
		{"copy of a child", request("", `"resources": [`+thing("n", `, "resources": [{"type": "kids", "apiVersion": "2020-01-01", "name": "k", "copy": {"name": "l", "count": 1}}]`)+`]`)},
		{"nested loops", request("", `"variables": {"copy": [{"name": "a", "count": 800, "input": {"copy": [{"name": "b", "count": 800, "input": {"copy": [{"name": "c", "count": 800, "input": 1}]}}]}}]}`, `"resources": [`+thing("[string(variables('a'))]", "")+`]`)},
		{"nested lambdas", request("", `"resources": [`+thing("[string(map(range(0, 10000), lambda('x', map(range(0, 10000), lambda('y', 1)))))]", "")+`]`)},
		{"doubling", request("", `"variables": {"v": "[reduce(range(0, 60), createArray(1), lambda('a', 'b', createArray(lambdaVariables('a'), lambdaVariables('a'))))]"}`, `"resources": [`+thing("[string(variables('v'))]", "")+`]`)},
		{"doubling variables", request("", `"variables": {"a": [1, 2, 3, 4, 5, 6, 7, 8], `+many(30, `"v%[1]d": ["[variables('a')]", "[variables('a')]"], "a%[1]d": 1`)+`}`, `"resources": [`+thing("n", `, "properties": {"x": "[format('{0}', map(range(0, 10000), lambda('i', map(range(0, 1000), lambda('j', variables('v3'))))))]"}`)+`]`)},
		{"unknown member of a resource", request("", `"resources": [`+thing("n", `, "description": "x"`)+`]`)},
		{"no type", request("", `"resources": [{"name": "n", "apiVersion": "2020-01-01"}]`)},
		{"no version", request("", `"resources": [{"name": "n", "type": "A.B/things"}]`)},
		{"no version but a profile", request("", `"apiProfile": "2019-03-01-hybrid"`, `"resources": [{"name": "n", "type": "A.B/things"}]`)},
		{"too large a resource", request("", `"resources": [`+thing("a", `, "properties": {"x": "[map(range(0, 10000), lambda('i', padLeft('', 16)))]", "y": "[map(range(0, 10000), lambda('i', format('{0,90}', lambdaVariables('i'))))]"}`)+`]`)},
		{"empty name", request("", `"resources": [`+thing("[toLower('')]", "")+`]`)},
		{"name is no string", request("", `"resources": [`+thing("[add(1, 2)]", "")+`]`)},
		{"name reads a resource", request("", `"resources": [`+thing("[reference('x').name]", "")+`]`)},
		{"segments", request("", `"resources": [`+thing("a/b", "")+`]`)},
		{"child segments", request("", `"resources": [`+thing("a", `, "resources": [{"type": "kids", "apiVersion": "2020-01-01", "name": "a/k"}]`)+`]`)},
		{"twice", request("", `"resources": [`+thing("a", "")+`,`+thing("A", "")+`]`)},
		{"condition", request("", `"resources": [`+thing("a", `, "condition": "yes"`)+`]`)},
		{"scope", request("", `"resources": [`+thing("a", `, "scope": "nowhere"`)+`]`)},
		{"depends on nothing", request("", `"resources": [`+thing("a", `, "dependsOn": ["[resourceId('A.B/things/kids', 'x', 'y')]"]`)+`]`)},
		{"depends on a number", request("", `"resources": [`+thing("a", `, "dependsOn": [1]`)+`]`)},
		{"cycle", request("", `"resources": [`+thing("a", `, "dependsOn": ["b"]`)+`,`+thing("b", `, "properties": {"x": "[reference('a').x]"}`)+`]`)},
		{"body", request("", `"resources": [`+thing("a", `, "properties": {"x": "[createObject('a', 1).b]"}`)+`]`)},
		{"body does not parse", request("", `"resources": [`+thing("a", `, "properties": {"x": "[concat('a', #)]"}`)+`]`)},
		{"copyIndex outside", request("", `"resources": [`+thing("a", `, "properties": {"x": "[copyIndex()]"}`)+`]`)},
		{"extension resource", request("", v2, `"resources": {"x": {"import": "k8s", "type": "v1", "properties": {}}}`)},
		{"output without value", request("", empty, `"outputs": {"o": {"type": "string"}}`)},
		{"output without type", request("", empty, `"outputs": {"o": {"value": 1}}`)},
		{"function without output", request("", `"functions": [{"namespace": "n", "members": {"f": {"parameters": []}}}]`, empty)},
		{"function with a default", request("", `"functions": [{"namespace": "n", "members": {"f": {"parameters": [{"name": "p", "type": "int", "defaultValue": 1}], "output": {"type": "int", "value": 1}}}}]`, empty)},
		{"too deep", `{"properties": {"mode": "Incremental", "template": ` + deep + `}}`},
	}
}

func doc2(members ...string) string {
	return `{"$schema": "2019-04-01", "contentVersion": "1.0.0.0", ` + strings.Join(members, ", ") + `}`
}

func TestErrorTexts(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, c := range refused() {
		p, err := compile(t, c[1])
		if err == nil { // nested templates are compiled by the engine
			err = nestAll(p)
		}
		var wire *azerr.Error
		if !errors.As(err, &wire) {
			t.Errorf("%s: %v", c[0], err)
			continue
		}
		fmt.Fprintf(&b, "%s\n  %d %s\n  %s\n", c[0], wire.Status, wire.Code, wire.Message)
		for _, i := range wire.Info {
			fmt.Fprintf(&b, "  %s %+v\n", i.Type, i.Info)
		}
		if strings.Contains(wire.Message, "hush") {
			t.Errorf("%s: a secret shows in %s", c[0], wire.Message)
		}
	}
	golden(t, "testdata/errors.golden", b.String())
}

func nestAll(p *template.Program) error {
	for _, r := range p.Resources {
		if !r.IsDeployment() {
			continue
		}
		inner, err := p.CompileNested(r, testScope(), nil, nil)
		if err != nil {
			return err
		}
		if err := nestAll(inner); err != nil {
			return err
		}
	}
	return nil
}
