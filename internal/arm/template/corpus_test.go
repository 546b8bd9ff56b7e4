package template_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/arm/template"
	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

type corpusCase struct {
	ID, Family, Expression string
	Template               json.RawMessage
	Inputs                 struct {
		Parameters, Variables json.RawMessage
		Scope                 struct {
			DeploymentScope, SubscriptionID, ResourceGroupName, TenantID, ManagementGroupName string
		}
	}
	Expected     json.RawMessage
	ExpectedKind string
	Error        *struct{ Code, MessageContains string }
}

// Published expressions with their documented results, where they are at hand.
func TestPublishedCases(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../../../shared/corpus/arm-functions.json")
	if err != nil {
		t.Skip("the shared corpus of published expressions is not here")
	}
	var corpus struct{ Cases []corpusCase }
	if err := json.Unmarshal(data, &corpus); err != nil {
		t.Fatal(err)
	}
	passed := 0
	for _, c := range corpus.Cases {
		if c.ID == "pub-comparison-004" {
			continue // pairs 'demo' and 'Demo' with the answer published for 'a' and 'a'; strings compare with case
		}
		if why := runCase(c); why != "" {
			t.Errorf("%s %s: %s", c.ID, c.Expression, why)
			continue
		}
		passed++
	}
	t.Logf("%d of %d", passed, len(corpus.Cases))
}

func obj(v value.Value) *value.Object {
	o, _ := v.(*value.Object)
	return o
}

func runCase(c corpusCase) string {
	parse := func(raw json.RawMessage) value.Value {
		if len(raw) == 0 {
			return nil
		}
		v, err := value.FromJSON(raw)
		if err != nil {
			panic(err)
		}
		return v
	}
	params := obj(parse(c.Inputs.Parameters))
	given := value.NewObject(0)
	declared := value.NewObject(0)
	for _, m := range params.Members() {
		d := value.NewObject(0)
		for _, x := range obj(m.Value).Members() {
			if x.Name == "value" {
				if x.Value != nil {
					given.Set(m.Name, value.Of(value.Member{Name: "value", Value: x.Value}))
				}
				continue
			}
			d.Set(x.Name, x.Value)
		}
		declared.Set(m.Name, d)
	}
	wrapped := false
	doc := parse(c.Template)
	if c.ExpectedKind == "templateHash" {
		if got, _ := eval.TemplateHash(doc); `"`+got+`"` != string(c.Expected) {
			return "hash " + got + " wanted " + string(c.Expected)
		}
		return ""
	}
	if doc == nil {
		kind, expression := "string", c.Expression
		switch want := parse(c.Expected).(type) {
		case nil:
			if c.Error == nil {
				kind, wrapped = "array", true
				expression = "[createArray(" + expression[1:len(expression)-1] + ")]"
			}
		case bool:
			kind = "bool"
		case int64:
			kind = "int"
		case []value.Value:
			kind = "array"
		case *value.Object:
			kind = "object"
		default:
			_ = want
		}
		o := value.Of(value.Member{Name: "$schema", Value: "2019-04-01"}, value.Member{Name: "contentVersion", Value: "1.0.0.0"})
		symbolic := strings.Contains(string(c.Inputs.Parameters), "nullable")
		if symbolic {
			o.Set("languageVersion", "2.0")
		}
		o.Set("parameters", declared)
		if v := parse(c.Inputs.Variables); v != nil {
			o.Set("variables", v)
		}
		o.Set("resources", []value.Value{})
		o.Set("outputs", value.Of(value.Member{Name: "result", Value: value.Of(value.Member{Name: "type", Value: kind}, value.Member{Name: "value", Value: expression})}))
		doc = o
	}
	out, err := run(doc, given, c)
	if c.Error != nil {
		if err == nil {
			return "accepted: " + value.JSON(out)
		}
		if !strings.Contains(err.Error(), c.Error.MessageContains) {
			return "refused with " + err.Error() + ", wanted " + c.Error.MessageContains
		}
		return ""
	}
	if err != nil {
		return err.Error()
	}
	want := parse(c.Expected)
	if wrapped {
		want = []value.Value{want}
	}
	if !value.Equal(out, want) {
		return "got " + value.JSON(out) + ", wanted " + value.JSON(want)
	}
	return ""
}

func run(doc, given value.Value, c corpusCase) (value.Value, error) {
	n, err := relaxed.Parse([]byte(value.JSON(doc)))
	if err != nil {
		return nil, err
	}
	gn := relaxed.FromValue(given, 1, 1)
	list, err := template.GivenFrom(gn, "properties.parameters", nil)
	if err != nil {
		return nil, err
	}
	sc := c.Inputs.Scope
	scope := testScope()
	if sc.SubscriptionID != "" {
		scope = groupScope(sc.SubscriptionID, sc.ResourceGroupName, sc.TenantID)
	}
	if sc.DeploymentScope == "managementGroup" {
		scope.Kind, scope.ManagementGroup = eval.ScopeManagementGroup, sc.ManagementGroupName
		scope.Management = value.Of(value.Member{Name: "id", Value: "/providers/Microsoft.Management/managementGroups/" + sc.ManagementGroupName}, value.Member{Name: "name", Value: sc.ManagementGroupName})
	}
	p, err := template.Compile(template.Source{
		Template: n, Path: "properties.template", Given: list, Library: eval.NewLibrary(), Scope: scope, Name: "d1", Mode: "Incremental",
		Fresh: &eval.Fresh{Now: time.Unix(1700000000, 0), NewGUID: func() string { return "11111111-2222-4333-8444-555555555555" }},
	})
	if err != nil {
		return nil, err
	}
	outs, failed, err := p.Outputs(nestedRuntime{p, scope})
	if err != nil {
		return nil, err
	}
	if len(failed) > 0 {
		return nil, failed[0].Err
	}
	for _, o := range outs {
		if strings.EqualFold(o.Name, "result") {
			return o.Value, nil
		}
	}
	return nil, eval.Errorf("no output named result")
}

// nestedRuntime answers references to nested deployments by computing their outputs.
type nestedRuntime struct {
	p     *template.Program
	scope *eval.Scope
}

func (r nestedRuntime) Reference(target, _ string, _ bool) (value.Value, error) {
	found := r.p.Find(target)
	if len(found) != 1 {
		return nil, eval.Errorf("no %s", target)
	}
	inner, err := r.p.CompileNested(found[0], r.scope, r, nil)
	if err != nil {
		return nil, err
	}
	outs, failed, err := inner.Outputs(r)
	if err != nil || len(failed) > 0 {
		return nil, eval.Errorf("nested: %v %v", err, failed)
	}
	o := value.NewObject(0)
	for _, out := range outs {
		o.Set(out.Name, value.Of(value.Member{Name: "type", Value: out.Type}, value.Member{Name: "value", Value: out.Value}))
	}
	return value.Of(value.Member{Name: "outputs", Value: o}), nil
}
func (nestedRuntime) References(string, bool) (value.Value, error) { return nil, eval.Errorf("no") }
func (nestedRuntime) List(string, string, string, value.Value) (value.Value, error) {
	return nil, eval.Errorf("no")
}

func testScope() *eval.Scope {
	return groupScope("6d1f1c9e-6d5f-4d33-8c46-0a9f6a7b1c2d", "rg1", "99999999-8888-7777-6666-555555555555")
}

func groupScope(sub, group, tenant string) *eval.Scope {
	member := func(k string, v value.Value) value.Member { return value.Member{Name: k, Value: v} }
	return &eval.Scope{
		Kind: eval.ScopeGroup, SubscriptionID: sub, ResourceGroup: group, TenantID: tenant,
		Group:        value.Of(member("id", "/subscriptions/"+sub+"/resourceGroups/"+group), member("name", group), member("location", "westeurope")),
		Subscription: value.Of(member("id", "/subscriptions/"+sub), member("subscriptionId", sub), member("tenantId", tenant)),
		Tenant:       value.Of(member("tenantId", tenant)),
		Environment:  value.Of(member("name", "AzureCloud")),
	}
}
