package provider_test

import (
	"testing"

	"github.com/kustos-io/kustos/internal/arm/provider"
)

func TestCheckTag(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"plain": true, "with blank": true, "a/b": false, "": false, "x?": false,
		"hidden-link:/subscriptions/s/resourceGroups/g":          true,
		"Hidden-Related:/subscriptions/s/providers/A.B/things/x": true,
		"hidden-other:/subscriptions/s":                          false,
		"/hidden-link:":                                          false,
	} {
		if err := provider.CheckTag(name, "v"); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
