package kusto

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/cluster"
)

// openAPI is one published specification; only what the check below needs.
type openAPI struct {
	Definitions map[string]schema `json:"definitions"`
	file        string
}

type schema struct {
	Ref                  string            `json:"$ref"`
	Type                 string            `json:"type"`
	Properties           map[string]schema `json:"properties"`
	Required             []string          `json:"required"`
	AllOf                []schema          `json:"allOf"`
	Items                *schema           `json:"items"`
	Enum                 []string          `json:"enum"`
	AdditionalProperties json.RawMessage   `json:"additionalProperties"`
}

// published reads the specification of a version, or skips the test.
func published(t *testing.T, version string) openAPI {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "..", "shared", "specs", "kusto", version)
	var api openAPI
	for _, name := range []string{"kusto.json", "kusto.derived.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &api); err != nil {
			t.Fatal(err)
		}
		api.file = name
		return api
	}
	t.Skip("the published specifications are not here")
	return api
}

// flat collects the members of a schema, its parents' included. complete is
// false when a parent lies in another file, so that members may be missing.
func (a openAPI) flat(s schema) (members map[string]schema, required []string, complete bool) {
	members, complete = map[string]schema{}, true
	if s.Ref != "" {
		if !strings.HasPrefix(s.Ref, "#/definitions/") {
			return members, nil, false
		}
		return a.flat(a.Definitions[strings.TrimPrefix(s.Ref, "#/definitions/")])
	}
	for _, parent := range s.AllOf {
		m, r, c := a.flat(parent)
		for k, v := range m {
			members[k] = v
		}
		required, complete = append(required, r...), complete && c
	}
	for k, v := range s.Properties {
		members[k] = v
	}
	return members, append(required, s.Required...), complete
}

// check reports where value does not fit the schema. Null stands for a member
// without a value, as on the wire.
func (a openAPI) check(path string, s schema, value any) (wrong []string) {
	if value == nil {
		return nil
	}
	if strings.HasPrefix(s.Ref, "#/definitions/") {
		s2 := a.Definitions[strings.TrimPrefix(s.Ref, "#/definitions/")]
		if len(s2.Properties) == 0 && len(s2.AllOf) == 0 {
			return a.check(path, s2, value)
		}
	} else if s.Ref != "" {
		return nil
	}
	bad := func(format string, args ...any) { wrong = append(wrong, path+": "+fmt.Sprintf(format, args...)) }
	switch v := value.(type) {
	case map[string]any:
		members, required, complete := a.flat(s)
		if s.Type != "" && s.Type != "object" {
			bad("an object where a %s is wanted", s.Type)
		}
		for _, name := range required {
			if _, ok := v[name]; !ok {
				bad("the required member %s is missing", name)
			}
		}
		for name, member := range v {
			m, ok := members[name]
			if !ok && complete && len(members) > 0 && len(s.AdditionalProperties) == 0 {
				bad("the member %s is not in the specification", name)
			}
			wrong = append(wrong, a.check(path+"."+name, m, member)...)
		}
	case []any:
		if s.Type != "" && s.Type != "array" {
			bad("an array where a %s is wanted", s.Type)
		}
		for i, e := range v {
			if s.Items != nil {
				wrong = append(wrong, a.check(fmt.Sprintf("%s[%d]", path, i), *s.Items, e)...)
			}
		}
	case string:
		if s.Type != "" && s.Type != "string" {
			bad("a string where a %s is wanted", s.Type)
		}
		if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) && !strings.HasSuffix(path, "sku.name") { // sizes are an open list
			bad("%q is none of %v", v, s.Enum)
		}
	case bool:
		if s.Type != "" && s.Type != "boolean" {
			bad("a boolean where a %s is wanted", s.Type)
		}
	case float64:
		if s.Type != "" && s.Type != "number" && s.Type != "integer" {
			bad("a number where a %s is wanted", s.Type)
		}
	}
	return wrong
}

// Every answer has the members that the specification of its version names,
// with the right types, and no newer ones.
func TestAnswersFitTheSpecifications(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("PUT", clusterPath("demo1"), v20230815, `{"location":"westeurope","zones":["1"],`+bodySKU+`,"identity":{"type":"SystemAssigned"},
		"properties":{"enablePurge":true,"trustedExternalTenants":[{"value":"*"}],"allowedFqdnList":["a.example.test"],"optimizedAutoscale":{"version":1,"isEnabled":true,"minimum":2,"maximum":5}}}`)
	w.grant("demo1", "vault1", "key1", "v1")
	op := w.must("PATCH", clusterPath("demo1"), v20230815, keyBody(testVault, "key1", "v1")).OperationID
	w.must("PUT", databasePath("demo1", "db1"), v20230815, bodyDatabase)
	w.must("PUT", databasePath("demo1", "db2"), v20230815, keyBody(testVault, "key1", "v1"))
	w.setOwn("demo1", "db2", func(st *cluster.DatabaseState) { st.Suspended, st.Since = true, w.p.now() })
	assign := `{"properties":{"principalId":"` + knownApp + `","principalType":"App","role":"%s"}}`
	for path, role := range map[string]string{clusterPath("demo1"): "AllDatabasesAdmin", databasePath("demo1", "db1"): "Admin"} {
		if a := w.do("PUT", path+"/principalAssignments/me", v20230815, fmt.Sprintf(assign, role)); a.err != nil {
			t.Fatal(a.err)
		}
	}
	root := testSub + "/providers/Microsoft.Kusto"
	calls := []struct{ since, method, path, body, definition string }{
		{v20190121, "GET", clusterPath("demo1"), "", "Cluster"},
		{v20190121, "GET", testGroup + "/providers/Microsoft.Kusto/clusters", "", "ClusterListResult"},
		{v20190121, "GET", clusterPath("demo1") + "/skus", "", "ListResourceSkusResult"},
		{v20190121, "GET", root + "/skus", "", "SkuDescriptionList"},
		{v20190121, "POST", root + "/locations/westus/checkNameAvailability", `{"name":"demo1","type":"Microsoft.Kusto/clusters"}`, "CheckNameResult"},
		{v20190121, "GET", "/providers/Microsoft.Kusto/operations", "", "OperationListResult"},
		// before 2022 the service itself did not keep to its specification here
		{v20220201, "GET", root + "/locations/westeurope/operationResults/" + op, "", "OperationResult"},
		{v20190907, "GET", databasePath("demo1", "db1"), "", "ReadWriteDatabase"},
		{v20190907, "GET", databasePath("demo1", "db2"), "", "ReadWriteDatabase"},
		{v20190121, "GET", clusterPath("demo1") + "/databases", "", "DatabaseListResult"},
		{v20190121, "POST", databasePath("demo1", "db1") + "/listPrincipals", "", "DatabasePrincipalListResult"},
		{v20191109, "GET", clusterPath("demo1") + "/principalAssignments/me", "", "ClusterPrincipalAssignment"},
		{v20191109, "GET", databasePath("demo1", "db1") + "/principalAssignments", "", "DatabasePrincipalAssignmentListResult"},
	}
	for _, version := range versionsSince(v20190121) {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			api := published(t, version)
			for _, c := range calls {
				if version < c.since {
					continue
				}
				a := w.do(c.method, c.path, version, c.body)
				if a.err != nil {
					t.Errorf("%s %s: %v", c.method, c.path, a.err)
					continue
				}
				s, ok := api.Definitions[c.definition]
				if !ok {
					continue // the shape of this list was not published yet
				}
				if version == v20191109 { // published as a string there, as a boolean ever after
					delete(api.Definitions["ReadWriteDatabaseProperties"].Properties, "isFollowed")
					if props, ok := a.json["properties"].(map[string]any); ok {
						delete(props, "isFollowed")
					}
				}
				for _, wrong := range api.check(c.definition, s, a.json) {
					t.Error(wrong)
				}
			}
		})
	}
}

// Every example of a cluster or database request is accepted or refused for
// what it asks, never for its shape.
func TestPublishedRequestsAreUnderstood(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "..", "shared", "specs", "kusto", "*", "examples", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("the published examples are not here")
	}
	for _, file := range files {
		name := filepath.Base(file)
		var path string
		switch {
		case strings.HasPrefix(name, "KustoClustersCreateOrUpdate"), strings.HasPrefix(name, "KustoClustersUpdate"), strings.HasPrefix(name, "KustoClusterUpdate"), strings.HasPrefix(name, "KustoClusterCreate"):
			path = clusterPath("demo1")
		case strings.HasPrefix(name, "KustoDatabasesCreateOrUpdate"), strings.HasPrefix(name, "KustoDatabasesUpdate"):
			path = databasePath("demo1", "db1")
		default:
			continue
		}
		version := filepath.Base(filepath.Dir(filepath.Dir(file)))
		t.Run(version+"/"+name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var example struct {
				Parameters struct {
					Parameters json.RawMessage `json:"parameters"`
				} `json:"parameters"`
			}
			if err := json.Unmarshal(data, &example); err != nil {
				t.Fatal(err)
			}
			method := "PUT"
			if strings.Contains(name, "Update") && !strings.Contains(name, "CreateOrUpdate") {
				method = "PATCH"
			}
			w := newWorld(t)
			location := struct{ Location string }{}
			_ = json.Unmarshal(example.Parameters.Parameters, &location)
			if location.Location == "" {
				location.Location = "westus"
			}
			if method == "PATCH" || strings.Contains(path, "databases") {
				w.must("PUT", clusterPath("demo1"), v20230815, `{"location":"`+location.Location+`",`+bodySKU+`,"identity":{"type":"SystemAssigned"}}`)
			}
			if method == "PATCH" && strings.Contains(path, "databases") {
				w.must("PUT", path, v20230815, `{}`)
			}
			a := w.do(method, path, version, string(example.Parameters.Parameters))
			if a.err != nil && (a.err.Code == "InvalidRequestContent" || a.err.Status >= 500 || a.err.Code == "BadRequest" && !strings.Contains(a.err.Message, "was not found")) {
				t.Errorf("%v\n%s", a.err, example.Parameters.Parameters)
			}
			t.Logf("%s: %v", name, a.err)
		})
	}
}
