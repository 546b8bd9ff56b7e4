package openapi_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// object is a part of a document.
type object = map[string]any

// library is a folder of OpenAPI 2.0 documents.
type library struct {
	files      map[string]object // by path, loaded when needed
	operations []*operation
}

// operation is one method of one path of one document.
type operation struct {
	file, version string
	folder        string // of file, from the library's root: "keyvault/data-plane/7.4"
	method        string
	template      []string // segments, "{name}" for parameters
	query         url.Values
	text          string
	spec          object
}

// id is the operation's name in its document.
func (o *operation) id() string {
	name, _ := o.spec["operationId"].(string)
	return name
}

// String names the operation among all documents.
func (o *operation) String() string { return o.folder + " " + o.id() + " " + o.method }

func openLibrary(root string) (*library, error) {
	l := &library{files: map[string]object{}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".json" || strings.Contains(path, "examples") {
			return err
		}
		doc, err := l.load(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		l.index(path, filepath.ToSlash(folder), doc)
		return err
	})
	return l, err
}

func (l *library) load(path string) (object, error) {
	path = filepath.Clean(path)
	if doc, ok := l.files[path]; ok {
		return doc, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return nil, err
	}
	doc, _ := value.(object) // what is no object is no document
	l.files[path] = doc
	return doc, nil
}

func (l *library) index(path, folder string, doc object) {
	if doc["swagger"] != "2.0" {
		return
	}
	info, _ := doc["info"].(object)
	version, _ := info["version"].(string)
	for _, group := range []string{"paths", "x-ms-paths"} {
		paths, _ := doc[group].(object)
		for text, item := range paths {
			methods, _ := item.(object)
			plain, query, _ := strings.Cut(text, "?")
			values, _ := url.ParseQuery(query)
			values.Del("disambiguation_dummy")
			for method, spec := range methods {
				s, ok := spec.(object)
				if !ok || method == "parameters" {
					continue
				}
				l.operations = append(l.operations, &operation{file: path, folder: folder, version: ownVersion(s, version), method: strings.ToUpper(method),
					text: text, spec: s, template: segments(plain), query: values})
			}
		}
	}
}

// ownVersion is the api-version that an operation asks for where it is not its
// document's: the list of vaults is a list of resources.
func ownVersion(spec object, version string) string {
	parameters, _ := spec["parameters"].([]any)
	for _, p := range parameters {
		m, _ := p.(object)
		if values, _ := m["enum"].([]any); m["name"] == "api-version" && len(values) == 1 {
			version, _ = values[0].(string)
		}
	}
	return version
}

func segments(path string) []string {
	var out []string
	for _, s := range strings.Split(path, "/") {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// wild reports whether a parameter that stands for several segments may stand
// for these; ok is false for the parameters of one segment.
func wild(segment string, path []string) (fits, ok bool) {
	switch segment {
	case "{scope}":
		return true, true
	case "{parentResourcePath}":
		return len(path)%2 == 0 && !slices.Contains(path, "providers"), true
	}
	return false, false
}

// whole reports whether a path is what a parameter that is a whole template
// stands for: the id of a resource.
func whole(parameter string, path []string) bool {
	typed := func(name string) bool {
		return len(path) >= 4 && strings.EqualFold(path[len(path)-2], name) && strings.EqualFold(path[len(path)-4], "providers")
	}
	switch parameter {
	case "{resourceId}":
		return slices.Contains(path, "providers") && (len(path)-slices.Index(path, "providers"))%2 == 0
	case "{roleId}", "{roleDefinitionId}":
		return typed("roleDefinitions")
	case "{roleAssignmentId}":
		return typed("roleAssignments")
	}
	return false
}

// matches reports whether a path fits a template, and how many of its segments
// are the template's own words.
func matches(template, path []string) (words int, ok bool) {
	if len(template) == 0 {
		return 0, len(path) == 0
	}
	head := template[0]
	if _, several := wild(head, nil); several {
		for n := range len(path) + 1 {
			if fits, _ := wild(head, path[:n]); !fits {
				continue
			}
			if w, ok := matches(template[1:], path[n:]); ok {
				return w, true
			}
		}
		return 0, false
	}
	if len(path) == 0 {
		return 0, false
	}
	w, ok := matches(template[1:], path[1:])
	switch {
	case !ok:
		return 0, false
	case strings.HasPrefix(head, "{"):
		return w, true
	case strings.EqualFold(head, path[0]):
		return w + 1, true
	}
	return 0, false
}

// find is the operations of a request. The first, of the documents of its
// api-version, is the one with the most words in common; the others are the
// same resource's operations that say the same of any scope, and the same path
// in other documents. None when no document knows the request.
func (l *library) find(under, method string, u *url.URL, path string) []*operation {
	version := u.Query().Get("api-version")
	var best *operation
	most := -1
	at := segments(path)
	var fit []*operation
	for _, op := range l.operations {
		if op.method != method || op.version != version || !strings.Contains(op.file, under) || !op.asked(u.Query()) {
			continue
		}
		words, ok := matches(op.template, at)
		if len(op.template) == 1 && strings.HasPrefix(op.template[0], "{") {
			words, ok = 0, whole(op.template[0], at)
		}
		if !ok {
			continue
		}
		words += len(op.query)
		fit = append(fit, op)
		if words > most || words == most && op.before(best) {
			best, most = op, words
		}
	}
	if best == nil || most == 0 { // a lone {resourceId} fits everything
		return nil
	}
	if strings.HasPrefix(best.id(), "Resources_") && strings.Contains(path, "/operation") {
		return nil // where an operation is polled is no resource
	}
	out := []*operation{best}
	group, _, _ := strings.Cut(best.id(), "_")
	for _, op := range fit {
		other, _, _ := strings.Cut(op.id(), "_")
		_, general := wild(op.template[0], nil)
		general = general || len(op.template) == 1
		if op != best && (op.text == best.text || general && other == group) {
			out = append(out, op)
		}
	}
	return out
}

// asked reports whether a query has what the template's own asks for, and asks
// for nothing that makes it another operation.
func (o *operation) asked(query url.Values) bool {
	const form = "operationResultResponseType" // of a Location
	if query.Has(form) && !o.query.Has(form) {
		return false
	}
	for name := range o.query {
		if query.Get(name) != o.query.Get(name) {
			return false
		}
	}
	return true
}

// before settles a tie in favour of the template with fewer parameters, so
// that a tenant's own path wins over {scope}; documents are read in no order.
func (o *operation) before(other *operation) bool {
	return cmp.Or(cmp.Compare(len(o.template), len(other.template)), strings.Compare(o.text, other.text), strings.Compare(o.file, other.file)) < 0
}
