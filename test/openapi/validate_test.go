package openapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// check validates one answer and returns what is wrong with it.
func (l *library) check(op *operation, status int, header http.Header, body []byte) []string {
	v := &validation{library: l}
	responses, _ := op.spec["responses"].(object)
	spec, ok := responses[strconv.Itoa(status)].(object)
	if !ok && status >= 400 {
		if spec, ok = responses["default"].(object); !ok {
			return nil // older documents describe no refusals
		}
	}
	if !ok {
		return []string{fmt.Sprintf("status %d is none of %v", status, slices.Sorted(maps.Keys(responses)))}
	}
	if op.spec["x-ms-long-running-operation"] == true && status == http.StatusAccepted && header.Get("Location") == "" && header.Get("Azure-AsyncOperation") == "" {
		v.fail("", "a 202 without Location and Azure-AsyncOperation")
	}
	for _, name := range []string{"Location", "Azure-AsyncOperation"} {
		if u := header.Get(name); u != "" && !strings.HasPrefix(u, "https://") {
			v.fail("", "%s is not absolute: %s", name, u)
		}
	}
	schema, _ := spec["schema"].(object)
	if schema == nil {
		if len(body) > 0 && status < 300 && op.method != http.MethodHead {
			v.fail("", "a body where none is described: %.80s", body)
		}
		return v.problems
	}
	if len(body) == 0 {
		if status != http.StatusNoContent && status != http.StatusAccepted {
			v.fail("", "no body")
		}
		return v.problems
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return []string{"the body is not JSON"}
	}
	v.value("$", value, schema, op.file)
	return v.problems
}

type validation struct {
	*library
	problems []string
}

func (v *validation) fail(at, format string, args ...any) {
	v.problems = append(v.problems, strings.TrimSpace(at+" "+fmt.Sprintf(format, args...)))
}

// resolve follows $ref; file is where the schema stands.
func (v *validation) resolve(schema object, file string) (object, string) {
	for range 20 {
		ref, ok := schema["$ref"].(string)
		if !ok {
			return schema, file
		}
		target, pointer, _ := strings.Cut(ref, "#")
		if target != "" {
			file = v.locate(file, target)
		}
		doc, err := v.load(file)
		if err != nil {
			v.fail("", "%s: %v", ref, err)
			return object{}, file
		}
		var at any = doc
		for _, name := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
			m, _ := at.(object)
			at = m[strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")]
		}
		next, ok := at.(object)
		if !ok {
			v.fail("", "%s leads nowhere", ref)
			return object{}, file
		}
		schema = next
	}
	return schema, file
}

// locate finds the file that a reference names. The folders were cut out of a
// larger tree, so a common type may lie nearer than its reference says.
func (v *validation) locate(from, target string) string {
	path := filepath.Join(filepath.Dir(from), target)
	if _, err := v.load(path); err == nil {
		return path
	}
	_, common, ok := strings.Cut(filepath.ToSlash(path), "common-types/")
	if !ok {
		return path
	}
	for dir := filepath.Dir(from); len(dir) > 2; dir = filepath.Dir(dir) {
		for _, name := range []string{common, strings.TrimPrefix(common, "resource-management/")} {
			if near := filepath.Join(dir, "common-types", filepath.FromSlash(name)); filepath.Base(dir) != "specs" {
				if _, err := v.load(near); err == nil {
					return near
				}
			}
		}
	}
	return path
}

// flat is a schema with everything that allOf adds.
type flat struct {
	properties map[string]located
	required   []string
	additional any // additionalProperties
	open       bool
	typ        string
}

type located struct {
	schema object
	file   string
}

func (v *validation) flatten(schema object, file string) flat {
	schema, file = v.resolve(schema, file)
	f := flat{properties: map[string]located{}}
	f.typ, _ = schema["type"].(string)
	all, _ := schema["allOf"].([]any)
	for _, part := range all {
		p, _ := part.(object)
		sub := v.flatten(p, file)
		maps.Copy(f.properties, sub.properties)
		f.required = append(f.required, sub.required...)
		if sub.additional != nil {
			f.additional = sub.additional
		}
	}
	properties, _ := schema["properties"].(object)
	for name, p := range properties {
		s, _ := p.(object)
		f.properties[name] = located{s, file}
	}
	required, _ := schema["required"].([]any)
	for _, r := range required {
		f.required = append(f.required, r.(string))
	}
	if a, ok := schema["additionalProperties"]; ok && a != false {
		f.additional = a
	}
	f.open = len(f.properties) == 0 && f.additional == nil
	return f
}

// subtype finds the schema of a discriminated value.
func (v *validation) subtype(schema object, file string, value object) (object, string) {
	schema, file = v.resolve(schema, file)
	name, ok := schema["discriminator"].(string)
	if !ok {
		return schema, file
	}
	kind, _ := value[name].(string)
	doc, err := v.load(file)
	if err != nil {
		return schema, file
	}
	definitions, _ := doc["definitions"].(object)
	for title, d := range definitions {
		s, _ := d.(object)
		if s["x-ms-discriminator-value"] == kind || title == kind {
			return s, file
		}
	}
	return schema, file
}

func (v *validation) value(at string, value any, schema object, file string) {
	schema, file = v.resolve(schema, file)
	if value == nil {
		return // absent and null are the same to Azure
	}
	v.enum(at, value, schema)
	typ, _ := schema["type"].(string)
	if typ == "" && (schema["properties"] != nil || schema["allOf"] != nil) {
		typ = "object"
	}
	switch typ {
	case "object":
		m, ok := value.(object)
		if !ok {
			v.fail(at, "is %T, not an object", value)
			return
		}
		v.object(at, m, schema, file)
	case "array":
		list, ok := value.([]any)
		if !ok {
			v.fail(at, "is %T, not an array", value)
			return
		}
		items, _ := schema["items"].(object)
		for i, item := range list {
			v.value(fmt.Sprintf("%s[%d]", at, i), item, items, file)
		}
	case "string":
		text, ok := value.(string)
		if !ok {
			v.fail(at, "is %T, not a string", value)
			return
		}
		v.format(at, text, schema)
	case "integer", "number":
		n, ok := value.(float64)
		if !ok || typ == "integer" && n != math.Trunc(n) {
			v.fail(at, "is %v (%T), not of type %s", value, value, typ)
		}
	case "boolean":
		if _, ok := value.(bool); !ok {
			v.fail(at, "is %T, not a boolean", value)
		}
	}
}

func (v *validation) object(at string, m object, schema object, file string) {
	schema, file = v.subtype(schema, file, m)
	f := v.flatten(schema, file)
	for _, name := range f.required {
		if m[name] == nil {
			v.fail(at, "has no %q", name)
		}
	}
	if f.open {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		p, known := f.properties[name]
		switch {
		case known:
			v.value(at+"."+name, m[name], p.schema, p.file)
		case f.additional != nil:
			if s, ok := f.additional.(object); ok {
				v.value(at+"."+name, m[name], s, file)
			}
		default:
			v.fail(at, "has an unknown member %q", name)
		}
	}
}

func (v *validation) enum(at string, value any, schema object) {
	values, _ := schema["enum"].([]any)
	if about, _ := schema["x-ms-enum"].(object); about["modelAsString"] == true {
		return // the list may grow without a new version
	}
	if len(values) > 0 && !slices.Contains(values, value) {
		v.fail(at, "is %v, none of %v", value, values)
	}
}

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func (v *validation) format(at, text string, schema object) {
	switch schema["format"] {
	case "date-time":
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			v.fail(at, "is %q, not a date-time", text)
		}
	case "uuid":
		if !guid.MatchString(text) {
			v.fail(at, "is %q, not a uuid", text)
		}
	}
}
