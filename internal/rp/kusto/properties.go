package kusto

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

// access says who may set a member of "properties".
type access int

const (
	readOnly   access = iota // ignored in a request
	createOnly               // a later request must repeat the value
	writable
)

// property is one member of a cluster's "properties".
type property struct {
	name   string
	since  string // first api-version that has it
	access access
	// unset is what a GET shows while nobody set it.
	unset string
	// check refuses a value of the wrong type, or one that needs a feature that
	// is not here. path is the full name of the member. The value is not null.
	check func(path string, raw json.RawMessage) error
}

// clusterProperties is the table of the members in the order the answers list
// them. Members that are computed (state, uris, keyVaultProperties …) are here
// for their version only; see clusterBody.
func clusterProperties() []property {
	return []property{
		{name: "trustedExternalTenants", since: vFirst, access: writable, unset: "[]", check: checkTenants},
		{name: "optimizedAutoscale", since: v20190515, access: writable, unset: "null", check: checkAutoscale},
		{name: "enableDiskEncryption", since: v20190515, access: writable, unset: "false", check: checkBool},
		{name: "enableStreamingIngest", since: v20190515, access: writable, unset: "false", check: checkBool},
		{name: "virtualNetworkConfiguration", since: v20190515, access: createOnly, unset: "null", check: refuseValue("a cluster cannot be placed in a virtual network")},
		{name: "languageExtensions", since: v20200215, access: writable, unset: `{"value":[]}`, check: checkLanguageExtensions},
		{name: "enablePurge", since: v20200215, access: writable, unset: "false", check: checkBool},
		{name: "enableDoubleEncryption", since: v20200614, access: createOnly, unset: "false", check: checkBool},
		{name: "engineType", since: v20200918, access: writable, unset: `"V3"`, check: chain(checkEnum("V2", "V3"), allowOnly(`"V3"`, "there is one engine, V3"))},
		{name: "acceptedAudiences", since: v20210827, access: writable, unset: "[]", check: chain(checkValueList, allowOnly("[]", "the data plane accepts its own audiences only"))},
		{name: "enableAutoStop", since: v20210827, access: writable, unset: "true", check: checkBool},
		{name: "restrictOutboundNetworkAccess", since: v20210827, access: writable, unset: `"Disabled"`, check: checkEnum("Enabled", "Disabled")},
		{name: "allowedFqdnList", since: v20210827, access: writable, unset: "[]", check: checkStrings},
		{name: "publicNetworkAccess", since: v20210827, access: writable, unset: `"Enabled"`, check: chain(checkEnum("Enabled", "Disabled", "SecuredByPerimeter"), allowOnly(`"Enabled"`, "the data plane has no network rules"))},
		{name: "allowedIpRangeList", since: v20210827, access: writable, unset: "[]", check: chain(checkRanges, allowOnly("[]", "the data plane has no network rules"))},
		// Every cluster's listener answers on both families, so DualStack is true and IPv4 a label.
		{name: "publicIPType", since: v20220201, access: writable, unset: `"IPv4"`, check: checkEnum("IPv4", "DualStack")},
		{name: "virtualClusterGraduationProperties", since: v20220201, access: createOnly, unset: "null", check: chain(checkString, allowOnly(`""`, "there are no virtual clusters"))},
		{name: "privateEndpointConnections", since: v20220201, access: readOnly, unset: "[]"},
		{name: "migrationCluster", since: v20230502, access: readOnly, unset: "null"},
		{name: "calloutPolicies", since: v20240413, access: writable, unset: "[]", check: chain(checkArray, allowOnly("[]", "queries cannot call out"))},
		{name: "zoneStatus", since: v20240413, access: readOnly, unset: "null"},
	}
}

// mergeProperties reads the members of a request over the present ones. With
// reset (a PUT) an explicit null returns a member to its default; an absent one
// is kept in either case. Unknown and read-only members are ignored, as the service
// ignores them.
func mergeProperties(req body, present map[string]json.RawMessage, exists, reset bool) (map[string]json.RawMessage, error) {
	out := cloneMap(present)
	if out == nil {
		out = map[string]json.RawMessage{}
	}
	for _, p := range clusterProperties() {
		raw, sent := req[strings.ToLower(p.name)]
		if !sent || p.access == readOnly {
			continue
		}
		if isNull(raw) {
			if reset && p.access == writable {
				delete(out, p.name)
			}
			continue
		}
		path := "properties." + p.name
		if err := p.check(path, raw); err != nil {
			return nil, err
		}
		value := compact(raw)
		have, was := out[p.name]
		if !was {
			have = json.RawMessage(p.unset)
		}
		if exists && p.access == createOnly && !sameJSON(have, value) {
			return nil, azerr.KustoBadRequest(fmt.Sprintf("The value of '%s' cannot be changed after the cluster was created.", path))
		}
		if !was && sameJSON(have, value) {
			continue // the default, spelled out
		}
		out[p.name] = value
	}
	if err := checkCapacityRange(out); err != nil {
		return nil, err
	}
	return out, nil
}

func sameProperties(a, b map[string]json.RawMessage) bool {
	for _, p := range clusterProperties() {
		x, y := a[p.name], b[p.name]
		if x == nil {
			x = json.RawMessage(p.unset)
		}
		if y == nil {
			y = json.RawMessage(p.unset)
		}
		if !sameJSON(x, y) {
			return false
		}
	}
	return true
}

func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		panic("BUG: the front door let invalid JSON through: " + err.Error())
	}
	return b.Bytes()
}

// sameJSON compares values without regard to the order of members.
func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return bytes.Equal(p, q)
}

type check = func(path string, raw json.RawMessage) error

func chain(checks ...check) check {
	return func(path string, raw json.RawMessage) error {
		for _, c := range checks {
			if err := c(path, raw); err != nil {
				return err
			}
		}
		return nil
	}
}

// allowOnly refuses every value but one, by name: accepting it would promise
// what is not done. why follows the colon.
func allowOnly(only, why string) check {
	return func(path string, raw json.RawMessage) error {
		if !sameJSON(raw, json.RawMessage(only)) {
			return azerr.KustoFeatureNotSupported(path, why)
		}
		return nil
	}
}

func refuseValue(why string) check {
	return func(path string, _ json.RawMessage) error { return azerr.KustoFeatureNotSupported(path, why) }
}

func checkBool(path string, raw json.RawMessage) error {
	if s := string(raw); s != "true" && s != "false" {
		return azerr.KustoInvalidMember(path, "true or false")
	}
	return nil
}

func checkString(path string, raw json.RawMessage) error {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return azerr.KustoInvalidMember(path, "a string")
	}
	return nil
}

func checkEnum(values ...string) check {
	return func(path string, raw json.RawMessage) error {
		var s string
		if json.Unmarshal(raw, &s) != nil || !slices.Contains(values, s) {
			return azerr.KustoInvalidMember(path, "one of "+strings.Join(values, ", "))
		}
		return nil
	}
}

func checkArray(path string, raw json.RawMessage) error {
	var a []json.RawMessage
	if json.Unmarshal(raw, &a) != nil {
		return azerr.KustoInvalidMember(path, "an array")
	}
	return nil
}

func checkStrings(path string, raw json.RawMessage) error {
	var a []string
	if json.Unmarshal(raw, &a) != nil {
		return azerr.KustoInvalidMember(path, "an array of strings")
	}
	return nil
}

func checkRanges(path string, raw json.RawMessage) error {
	if err := checkStrings(path, raw); err != nil {
		return err
	}
	var a []string
	_ = json.Unmarshal(raw, &a) // checked above
	for _, text := range a {
		_, errRange := netip.ParsePrefix(text)
		_, errOne := netip.ParseAddr(text)
		if errRange != nil && errOne != nil {
			return azerr.KustoInvalidMember(path, "an array of addresses in CIDR form")
		}
	}
	return nil
}

// valueList reads [{"value": …}].
func valueList(path string, raw json.RawMessage) ([]string, error) {
	var a []struct {
		Value *string `json:"value"`
	}
	if json.Unmarshal(raw, &a) != nil {
		return nil, azerr.KustoInvalidMember(path, "an array of objects with a member 'value'")
	}
	out := make([]string, len(a))
	for i, v := range a {
		if v.Value == nil {
			return nil, azerr.KustoInvalidMember(fmt.Sprintf("%s[%d].value", path, i), "a string")
		}
		out[i] = *v.Value
	}
	return out, nil
}

func checkValueList(path string, raw json.RawMessage) error {
	_, err := valueList(path, raw)
	return err
}

func checkTenants(path string, raw json.RawMessage) error {
	values, err := valueList(path, raw)
	if err != nil {
		return err
	}
	for i, v := range values {
		if v != "*" && !ids.IsGUID(v) {
			return azerr.KustoInvalidMember(fmt.Sprintf("%s[%d].value", path, i), "a tenant id or '*'")
		}
	}
	return nil
}

func checkLanguageExtensions(path string, raw json.RawMessage) error {
	o, err := asObject(path, raw)
	if err != nil {
		return err
	}
	if !o.has("value") {
		return nil
	}
	return chain(checkArray, allowOnly("[]", "language extensions are not built"))(path+".value", o.get("value"))
}

func checkAutoscale(path string, raw json.RawMessage) error {
	o, err := asObject(path, raw)
	if err != nil {
		return err
	}
	for _, name := range []string{"version", "minimum", "maximum"} {
		if _, sent, err := o.integer(path+"."+name, name); err != nil {
			return err
		} else if !sent {
			return azerr.KustoInvalidMember(path+"."+name, "an integer")
		}
	}
	if err := checkBool(path+".isEnabled", o.get("isEnabled")); err != nil {
		return err
	}
	if v, _ := asInteger(o.get("version")); v != 1 {
		return azerr.KustoInvalidMember(path+".version", "1")
	}
	return nil
}

// checkCapacityRange compares what cannot be seen member by member.
func checkCapacityRange(properties map[string]json.RawMessage) error {
	raw, ok := properties["optimizedAutoscale"]
	if !ok {
		return nil
	}
	o, err := asObject("properties.optimizedAutoscale", raw)
	if err != nil {
		return err
	}
	least, _ := asInteger(o.get("minimum"))
	most, _ := asInteger(o.get("maximum"))
	if least < 1 || most < least || most > 1000 {
		return azerr.KustoInvalidMember("properties.optimizedAutoscale", "a range with 1 <= minimum <= maximum <= 1000")
	}
	return nil
}

// flag reads a boolean member.
func (r *record) flag(name string) bool {
	raw, ok := r.Properties[name]
	if !ok {
		for _, p := range clusterProperties() {
			if p.name == name {
				raw = json.RawMessage(p.unset)
			}
		}
	}
	return string(raw) == "true"
}
