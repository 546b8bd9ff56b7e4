package template_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// What a type declares secure is not shown, however deep it is.
func TestSecureParts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ declared, given, want string }{
		"whole":          {`{"type": "secureObject"}`, `{"a": "hush"}`, `null`},
		"nothing":        {`{"type": "object", "properties": {"a": {"type": "string"}}}`, `{"a": "x"}`, `{"a":"x"}`},
		"member":         {`{"type": "object", "properties": {"user": {"type": "string"}, "pass": {"type": "secureString"}}}`, `{"user": "u", "PASS": "hush", "more": 1}`, `{"user":"u","more":1}`},
		"reference":      {`{"$ref": "#/definitions/login"}`, `{"user": "u", "pass": "hush"}`, `{"user":"u"}`},
		"items":          {`{"type": "array", "items": {"$ref": "#/definitions/login"}}`, `[{"user": "u", "pass": "hush"}]`, `[{"user":"u"}]`},
		"secure items":   {`{"type": "array", "items": {"type": "securestring"}}`, `["hush", "hush"]`, `[null,null]`},
		"prefix":         {`{"type": "array", "prefixItems": [{"type": "string"}, {"type": "securestring"}]}`, `["a", "hush", "b"]`, `["a",null,"b"]`},
		"additional":     {`{"type": "object", "properties": {"a": {"type": "int"}}, "additionalProperties": {"type": "securestring"}}`, `{"a": 1, "b": "hush"}`, `{"a":1}`},
		"discriminator":  {`{"type": "object", "discriminator": {"propertyName": "kind", "mapping": {"key": {"type": "object", "properties": {"kind": {"type": "string"}, "key": {"type": "securestring"}}}, "open": {"type": "object"}}}}`, `{"kind": "key", "key": "hush"}`, `{"kind":"key"}`},
		"refers to self": {`{"$ref": "#/definitions/tree"}`, `{"next": {"next": {"pass": "hush", "n": 2}, "pass": "hush", "n": 1}}`, `{"next":{"next":{"n":2},"n":1}}`},
	} {
		definitions := `"definitions": {"login": {"type": "object", "properties": {"user": {"type": "string"}, "pass": {"type": "secureString"}}},
			"tree": {"type": "object", "properties": {"next": {"$ref": "#/definitions/tree", "nullable": true}, "pass": {"type": "securestring", "nullable": true}}}}`
		p, err := compile(t, request(`"p": {"value": `+c.given+`}`, v2, definitions, `"parameters": {"p": `+c.declared+`}`, `"resources": {}`,
			`"outputs": {"o": `+strings.TrimSuffix(c.declared, "}")+`, "value": "[parameters('p')]"}, "d": {"type": "object", "value": "[deployment().properties.parameters]"}}`))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		q := p.Parameters[0]
		if diff := cmp.Diff(c.want, value.JSON(p.Shown(q))); diff != "" || q.Sensitive != (name != "nothing") {
			t.Errorf("%s: sensitive %v, %s", name, q.Sensitive, diff)
		}
		out, failed, err := p.Outputs(nil)
		if err != nil || len(failed) > 0 || len(out) != 2 {
			t.Errorf("%s: %v %v", name, err, failed)
			continue
		}
		if strings.Contains(value.JSON(out[0].Shown)+value.JSON(out[1].Shown), "hush") || !out[0].Secure && value.JSON(out[0].Shown) != c.want {
			t.Errorf("%s: the outputs show %s and %s", name, value.JSON(out[0].Shown), value.JSON(out[1].Shown))
		}
		if !strings.Contains(value.JSON(out[0].Value), "hush") && name != "nothing" {
			t.Errorf("%s: the value itself is %s", name, value.JSON(out[0].Value))
		}
	}
}
