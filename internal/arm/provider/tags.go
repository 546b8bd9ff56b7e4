package provider

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/kustos-io/kustos/internal/azerr"
)

// MaxTags is how many tags a resource can have.
const MaxTags = 50

const (
	maxTagName  = 512
	maxTagValue = 256
)

// ParseTags reads the tags of a resource or a group and checks their rules: at
// most 50, names up to 512 characters without <>%&\?/ and distinct without
// case, values up to 256. JSON null is no tags. The front door has done this to
// the top-level tags of every tracked resource before its provider sees them.
func ParseTags(value json.RawMessage) (map[string]string, error) {
	var tags map[string]string
	if err := json.Unmarshal(value, &tags); err != nil {
		return nil, azerr.InvalidRequestContent("Tags must be an object of strings. Path 'tags'").Because(err)
	}
	if len(tags) > MaxTags {
		return nil, azerr.TooManyTags(len(tags), MaxTags)
	}
	seen := map[string]bool{}
	for name, v := range tags {
		if err := CheckTag(name, v); err != nil {
			return nil, err
		}
		if seen[strings.ToLower(name)] {
			return nil, azerr.InvalidTag(name, "the name occurs twice, and names are compared without case")
		}
		seen[strings.ToLower(name)] = true
	}
	return tags, nil
}

// linksResources tells the tags by which Azure's tools tie resources together:
// their names hold a resource id, and so slashes.
func linksResources(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "hidden-link:") || strings.HasPrefix(name, "hidden-related:")
}

// CheckTag checks the rules of one tag.
func CheckTag(name, value string) error {
	why := ""
	switch {
	case name == "":
		why = "the name is empty"
	case len([]rune(name)) > maxTagName:
		why = fmt.Sprintf("the name is longer than %d characters", maxTagName)
	case strings.ContainsAny(name, `<>%&\?/`) && !linksResources(name):
		why = `the name may not contain any of <>%&\?/`
	case len([]rune(value)) > maxTagValue:
		why = fmt.Sprintf("the value is longer than %d characters", maxTagValue)
	default:
		return nil
	}
	return azerr.InvalidTag(name, why)
}
