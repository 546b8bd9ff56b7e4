package parse_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/kustos-io/kustos/internal/kql/parse"
)

func TestScratch(t *testing.T) {
	for _, f := range []string{"kql-examples.json", "kql-queries-only.json"} {
		b, err := os.ReadFile("/work/shared/corpus/" + f)
		if err != nil {
			t.Skip()
		}
		var d struct {
			Cases []struct {
				ID, Query string
				ParsesOK  *bool `json:"parses_ok"`
			}
		}
		json.Unmarshal(b, &d)
		ok, uns := 0, 0
		for _, c := range d.Cases {
			if c.ParsesOK != nil && !*c.ParsesOK {
				continue
			}
			s, err := parse.Script(c.Query)
			if err != nil {
				if e := err.(*parse.Error); e.Unsupported {
					uns++
					continue
				}
				t.Logf("%s: %v\n%.300s", c.ID, err, c.Query)
				continue
			}
			p := s.String()
			s2, err := parse.Script(p)
			if err != nil || s2.String() != p {
				t.Logf("PRINT %s: %v\n%.300s\n%.300s", c.ID, err, c.Query, p)
				continue
			}
			ok++
		}
		t.Log(f, len(d.Cases), ok, uns)
	}
}
