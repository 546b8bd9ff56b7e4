package report

import (
	"strings"
	"testing"
)

// The last line says no more than was verified.
func TestPrint(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		r    Report
		want string
	}{
		"all":     {Report{Extents: 2, VerifiedExtents: 2, Segments: 1, VerifiedSegments: 1}, "\nno damage found\n"},
		"some":    {Report{Extents: 2, VerifiedExtents: 1, Notes: []string{"its key is elsewhere"}}, "\nnote: its key is elsewhere\nno damage found in what was verified\n"},
		"damage":  {Report{Extents: 1, Problems: []Problem{{"x.kxt", "it is short"}}}, "\nDAMAGE: x.kxt: it is short\n"},
		"segment": {Report{Segments: 1}, "\nno damage found in what was verified\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			if err := tc.r.Print(&b); err != nil || !strings.HasSuffix(b.String(), tc.want) {
				t.Errorf("%q, %v; want the end %q", b.String(), err, tc.want)
			}
		})
	}
}
