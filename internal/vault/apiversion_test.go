package vault

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"
)

// TestAPIVersionGrammar compares the hand-written reader with the grammar.
func TestAPIVersionGrammar(t *testing.T) {
	t.Parallel()
	grammar := regexp.MustCompile(`^(?:7\.\d{1,2}|\d{4}-\d{2}-\d{2})(?:-preview(?:\.\d{1,2})?)?$`)
	check := func(text string) {
		_, err := parseAPIVersion(text)
		if (err == nil) != grammar.MatchString(text) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, s := range []string{"7.0", "7.4-preview.1", "7.4-preview", "7.4-preview.", "7.4-previewx", "7.4-preview.1.2", "7.", "7.444", "2016-10-01", "2025-07-01", "2025-7-1", "7.4-preview-preview", "8.0", ""} {
		check(s)
	}
	rapid.Check(t, func(t *rapid.T) {
		check(rapid.StringMatching(`[-0-9.]{0,11}(-preview)?[.0-9]{0,4}`).Draw(t, "version"))
	})
}
