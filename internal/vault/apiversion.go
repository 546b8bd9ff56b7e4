package vault

import (
	"fmt"
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
	version, preview, previewed := strings.Cut(strings.ToLower(text), "-preview")
	level, ok := levelOf(version)
	if !ok || previewed && preview != "" && !digits(strings.TrimPrefix(preview, "."), 1, 2) || previewed && preview != "" && preview[0] != '.' {
		return apiVersion{}, azerr.BadParameter(fmt.Sprintf("The api-version '%s' is not supported.", text), "")
	}
	return apiVersion{text, level}, nil
}

// levelOf reads 7.N or a date. It is on the way of every request: no regular
// expression.
func levelOf(version string) (level int, ok bool) {
	if minor, ok := strings.CutPrefix(version, "7."); ok {
		n, _ := strconv.Atoi(minor)
		return 700 + n, digits(minor, 1, 2)
	}
	if len(version) != len("2025-07-01") || version[4] != '-' || version[7] != '-' || !digits(version[:4]+version[5:7]+version[8:], 8, 8) {
		return 0, false
	}
	if version >= "2025" {
		return levelDate, true
	}
	return 600, true
}

// digits reports whether s is made of least to most decimal digits.
func digits(s string, least, most int) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) >= least && len(s) <= most
}
