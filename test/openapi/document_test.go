package openapi_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
	method        string
	template      []string // segments, "{name}" for parameters
	text          string
	spec          object
}

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
		l.index(path, doc)
		return nil
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

func (l *library) index(path string, doc object) {
	if doc["swagger"] != "2.0" {
		return
	}
	info, _ := doc["info"].(object)
	version, _ := info["version"].(string)
	for _, group := range []string{"paths", "x-ms-paths"} {
		paths, _ := doc[group].(object)
		for text, item := range paths {
			methods, _ := item.(object)
			plain, _, _ := strings.Cut(text, "?")
			for method, spec := range methods {
				s, ok := spec.(object)
				if !ok || method == "parameters" {
					continue
				}
				l.operations = append(l.operations, &operation{file: path, version: version, method: strings.ToUpper(method), text: text, spec: s, template: segments(plain)})
			}
		}
	}
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

// wild are the parameters that stand for several segments.
func wild(segment string) bool {
	switch segment {
	case "{scope}", "{resourceId}", "{parentResourcePath}", "{roleId}", "{roleAssignmentId}", "{denyAssignmentId}":
		return true
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
	if wild(head) {
		for n := range len(path) + 1 {
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

// find is the operation of a request: of the documents of its api-version the
// one with the most words in common; nil when there is none.
func (l *library) find(under, method, path, version string) *operation {
	var best *operation
	most := -1
	at := segments(path)
	for _, op := range l.operations {
		if op.method != method || op.version != version || !strings.Contains(op.file, under) {
			continue
		}
		words, ok := matches(op.template, at)
		if !ok || words == 0 { // a lone {scope} fits everything
			continue
		}
		if words > most || words == most && op.before(best) {
			best, most = op, words
		}
	}
	return best
}

// before settles a tie in favour of the template with fewer parameters, so
// that a tenant's own path wins over {scope}; documents are read in no order.
func (o *operation) before(other *operation) bool {
	return cmp.Or(cmp.Compare(len(o.template), len(other.template)), strings.Compare(o.text, other.text), strings.Compare(o.file, other.file)) < 0
}
