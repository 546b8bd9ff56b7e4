package template

import (
	"regexp"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// schemaVersions are the versions a template's $schema may have; nothing is
// fetched from there, and the rest of the address says only what scope is meant.
var schemaVersions = []string{"2014-04-01-preview", "2015-01-01", "2018-05-01", "2019-04-01", "2019-08-01"}

var schemaVersion = regexp.MustCompile(`\d{4}-\d{2}-\d{2}(-preview)?`)

// readShape checks the members of the root object.
func (p *Program) readShape() error {
	root, path := p.src.Template, p.src.Path
	if root == nil || root.Kind != relaxed.Object {
		if root != nil && root.Kind == relaxed.Scalar {
			return p.malformed(root.Line, root.Column, path, "Error converting value %s to type 'Template'", value.JSON(root.Value()))
		}
		return invalid(root, path, "The template must be a JSON object. %s", seeSyntax)
	}
	p.template = root.Value()
	p.Hash, _ = eval.TemplateHash(p.template)
	for _, m := range root.Members {
		switch strings.ToLower(m.Name) {
		case "$schema", "contentversion", "languageversion", "apiprofile", "definitions", "parameters", "functions", "variables", "resources", "outputs",
			"metadata", "imports", "extensions", "asserts", "$id", "id", "title", "description", "comments":
		default:
			return p.unknownMember(m, "Template", path)
		}
	}
	for _, name := range []string{"$schema", "contentVersion", "resources"} {
		if n := root.Get(name); n == nil || n.IsNull() && name != "resources" {
			return p.malformed(root.EndLine, root.EndColumn, path, "Required property '%s' not found in JSON", name)
		}
	}
	if s, ok := root.Get("$schema").Text(); !ok || !slices.Contains(schemaVersions, schemaVersion.FindString(s)) {
		return invalid(root.Get("$schema"), path+".$schema", "Template schema '%s' is not supported. Supported versions are '%s'. Please see https://aka.ms/arm-template for usage details.", s, strings.Join(schemaVersions, ","))
	}
	version, ok := root.Get("contentVersion").Text()
	if !ok {
		n := root.Get("contentVersion")
		return p.malformed(n.Line, n.Column, path+".contentVersion", "Error reading string. Unexpected token: %s", n.TypeName())
	}
	p.ContentVersion = version
	if n := root.Get("languageVersion"); !n.IsNull() {
		lang, ok := n.Text()
		switch {
		case ok && lang == "1.0":
		case ok && (lang == "2.0" || strings.HasSuffix(lang, "-experimental") && (strings.HasPrefix(lang, "1.") || strings.HasPrefix(lang, "2."))):
			p.Symbolic = strings.HasPrefix(lang, "2.") || !strings.HasPrefix(lang, "1.1")
		default:
			return invalid(n, path+".languageVersion", "The template language version '%v' is not supported. The supported versions are '1.0, 2.0'. %s", n.Value(), seeSyntax)
		}
	}
	if n := root.Get("resources"); n != nil && n.Kind == relaxed.Object {
		if !p.Symbolic {
			return invalid(n, path+".resources", "The template resources must be an array unless the template's languageVersion is '2.0'. %s", seeResources)
		}
	}
	for name, kind := range map[string]relaxed.Kind{"definitions": relaxed.Object, "parameters": relaxed.Object, "variables": relaxed.Object, "outputs": relaxed.Object, "functions": relaxed.Array} {
		if n := root.Get(name); !n.IsNull() && n.Kind != kind {
			return invalid(n, path+"."+name, "The template section '%s' must be of type '%s'. The provided value is of type '%s'. %s", name, map[relaxed.Kind]string{relaxed.Object: "Object", relaxed.Array: "Array"}[kind], n.TypeName(), seeSyntax)
		}
	}
	for _, name := range []string{"imports", "extensions"} {
		if n := root.Get(name); !n.IsNull() && (len(n.Members) > 0 || len(n.Items) > 0) {
			return invalid(n, path+"."+name, "The template section '%s' is not supported: extensibility providers are not available. %s", name, seeSyntax)
		}
	}
	p.defs = root.Get("definitions")
	for section, limit := range map[string]int{"parameters": maxParameters, "variables": maxVariables, "outputs": maxOutputs} {
		if n := root.Get(section); n != nil && len(n.Members) > limit {
			return invalid(n, path+"."+section, "The number of template %s limit exceeded. Limit: '%d' and actual: '%d'. %s", section, limit, len(n.Members), seeSyntax)
		}
	}
	return nil
}
