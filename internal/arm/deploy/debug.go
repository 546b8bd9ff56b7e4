package deploy

import (
	"encoding/json"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// wants tells whether debugSetting.detailLevel asks for a kind of content
// ("requestContent", "responseContent").
func (r *record) wants(kind string) bool {
	for part := range strings.SplitSeq(r.Debug, ",") {
		if strings.EqualFold(strings.TrimSpace(part), kind) {
			return true
		}
	}
	return false
}

// content is a body for the operations of a deployment that asks for them,
// with the values of its secure parameters taken out wherever they stand.
func (x *execution) content(v value.Value) json.RawMessage {
	var secrets []string
	for _, q := range x.p.Parameters {
		if q.Sensitive {
			secrets = texts(q.Value, secrets)
		}
	}
	return value.Raw(redact(v, secrets))
}

// texts collects the strings of a value.
func texts(v value.Value, out []string) []string {
	switch v := v.(type) {
	case string:
		if v != "" {
			out = append(out, v)
		}
	case []value.Value:
		for _, item := range v {
			out = texts(item, out)
		}
	case *value.Object:
		for _, member := range v.Members() {
			out = texts(member.Value, out)
		}
	}
	return out
}

func redact(v value.Value, secrets []string) value.Value {
	switch v := v.(type) {
	case string:
		for _, s := range secrets {
			v = strings.ReplaceAll(v, s, "REDACTED")
		}
		return v
	case []value.Value:
		out := make([]value.Value, len(v))
		for i := range v {
			out[i] = redact(v[i], secrets)
		}
		return out
	case *value.Object:
		out := value.NewObject(v.Len())
		for _, member := range v.Members() {
			out.Set(member.Name, redact(member.Value, secrets))
		}
		return out
	}
	return v
}
