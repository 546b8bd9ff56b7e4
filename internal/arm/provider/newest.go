package provider

import (
	"strings"

	"github.com/kustos-io/kustos/internal/ids"
)

// NewestVersion is the newest stable api-version of the type of id among the
// providers, its newest preview when it has no other, "" when nobody serves the
// type. It is what our own code asks with.
func NewestVersion(providers []Provider, id ids.ID) string {
	t, _ := FindType(providers, id)
	return NewestStable(t.APIVersions)
}

// FindType is the type of id among those that the providers list; ok is false
// when nobody serves it.
func FindType(providers []Provider, id ids.ID) (t ResourceType, ok bool) {
	for _, p := range providers {
		if !strings.EqualFold(p.Namespace(), id.Namespace) {
			continue
		}
		for _, t := range p.Types() {
			if strings.EqualFold(t.Type, id.TypePath()) {
				return t, true
			}
		}
	}
	return ResourceType{}, false
}

// NewestStable is the first of a list, newest first, that is no preview, or the
// first one when all are.
func NewestStable(versions []string) string {
	for _, v := range versions {
		if len(v) == len("2006-01-02") {
			return v
		}
	}
	if len(versions) > 0 {
		return versions[0]
	}
	return ""
}
