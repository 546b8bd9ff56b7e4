package vault

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/azerr"
)

// apiVersion is the data plane's version as a number that compares: 7.4 is 704,
// dates of 2025 and later are above every 7.x, earlier dates below 7.0.
type apiVersion struct {
	text  string
	level int
}

const (
	level71   = 701
	level73   = 703
	level75   = 705
	levelDate = 900
)

// parseAPIVersion accepts every 7.x with or without a preview and every date.
func parseAPIVersion(text string) (apiVersion, error) {
	if text == "" {
		return apiVersion{}, azerr.BadParameter("The api-version query parameter (?api-version=) must be specified for all requests.", "")
	}
	pattern := regexp.MustCompile(`^(?:7\.(\d{1,2})|(\d{4})-(\d{2})-(\d{2}))(?:-preview(?:\.\d{1,2})?)?$`)
	m := pattern.FindStringSubmatch(strings.ToLower(text))
	if m == nil {
		return apiVersion{}, azerr.BadParameter(fmt.Sprintf("The api-version '%s' is not supported.", text), "")
	}
	if m[1] != "" {
		minor, _ := strconv.Atoi(m[1]) // two digits
		return apiVersion{text, 700 + minor}, nil
	}
	if m[2] >= "2025" {
		return apiVersion{text, levelDate}, nil
	}
	return apiVersion{text, 600}, nil
}
