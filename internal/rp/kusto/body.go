package kusto

import (
	"encoding/json"
	"math"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
)

// body is a JSON object of a request, member by member. A null member is an
// absent one unless a reader says otherwise. Names are kept in lower case: the
// service matches them without case, and a misspelt "keyvaultProperties" that
// were ignored would leave a cluster without the key its owner asked for.
type body map[string]json.RawMessage

func asObject(path string, raw json.RawMessage) (body, error) {
	var o body
	if err := json.Unmarshal(raw, &o); err != nil || o == nil {
		return nil, azerr.KustoInvalidMember(path, "an object")
	}
	out := make(body, len(o))
	for name, raw := range o {
		out[strings.ToLower(name)] = raw
	}
	return out, nil
}

// requestBody is the body of a write.
func requestBody(req *provider.Request) (body, error) {
	b, err := asObject("$", req.Body)
	if err != nil {
		return nil, azerr.InvalidRequestContent("The body must be a JSON object.")
	}
	return b, nil
}

// get returns the member's text, "" when it is absent.
func (b body) get(name string) json.RawMessage { return b[strings.ToLower(name)] }

// has reports whether the member is there and not null.
func (b body) has(name string) bool {
	return !isNull(b.get(name))
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func (b body) text(path, name, fallback string) (string, error) {
	if !b.has(name) {
		return fallback, nil
	}
	var s string
	if err := json.Unmarshal(b.get(name), &s); err != nil {
		return "", azerr.KustoInvalidMember(path, "a string")
	}
	return s, nil
}

func (b body) integer(path, name string) (n int, sent bool, err error) {
	if !b.has(name) {
		return 0, false, nil
	}
	n, ok := asInteger(b.get(name))
	if !ok {
		return 0, true, azerr.KustoInvalidMember(path, "an integer")
	}
	return n, true, nil
}

// asInteger accepts 2 and 2.0, as JSON does not tell them apart.
func asInteger(raw json.RawMessage) (int, bool) {
	var f float64
	if err := json.Unmarshal(raw, &f); err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<31 {
		return 0, false
	}
	return int(f), true
}

func (b body) tags() (map[string]string, error) {
	if !b.has("tags") {
		return nil, nil
	}
	var tags map[string]string
	if err := json.Unmarshal(b.get("tags"), &tags); err != nil {
		return nil, azerr.KustoInvalidMember("tags", "an object whose values are strings")
	}
	if len(tags) > 50 {
		return nil, azerr.KustoInvalidMember("tags", "at most 50 pairs")
	}
	seen := map[string]bool{}
	for name, value := range tags {
		switch {
		case name == "" || len(name) > 512 || strings.ContainsAny(name, `<>%&\?/`):
			return nil, azerr.KustoInvalidMember("tags", `named with 1 to 512 characters and none of <>%&\?/`)
		case len(value) > 256:
			return nil, azerr.KustoInvalidMember("tags."+name, "at most 256 characters long")
		case seen[strings.ToLower(name)]:
			return nil, azerr.KustoInvalidMember("tags", "an object whose names differ in more than case")
		}
		seen[strings.ToLower(name)] = true
	}
	return tags, nil
}

func (b body) zones() ([]string, error) {
	if !b.has("zones") {
		return nil, nil
	}
	var zones []string
	if err := json.Unmarshal(b.get("zones"), &zones); err != nil {
		return nil, azerr.KustoInvalidMember("zones", "an array of strings")
	}
	for _, z := range zones {
		if z != "1" && z != "2" && z != "3" {
			return nil, azerr.KustoInvalidMember("zones", "made of '1', '2' and '3'")
		}
	}
	return zones, nil
}
