package branch_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/kql/branch"
)

func TestExpand(t *testing.T) {
	t.Parallel()
	one, two := branch.Branch{ID: 1, Merge: " ORDER BY a LIMIT 1"}, branch.Branch{ID: 2, Merge: " ORDER BY b LIMIT 2"}
	inner := one.Mark("SELECT a FROM " + one.Part() + " AS t ORDER BY a LIMIT 1")
	outer := two.Mark("SELECT b FROM " + two.Part() + " AS t WHERE b IN (" + inner + ") ORDER BY b LIMIT 2")
	for name, c := range map[string]struct {
		sql      string
		branches []branch.Branch
		parts    []string
		want     string
	}{
		"nothing marked": {"SELECT 1", nil, []string{"SELECT 2"}, "SELECT 1"},
		"one part":       {"SELECT * FROM (" + inner + ")", []branch.Branch{one}, []string{"P"}, "SELECT * FROM (SELECT a FROM (P) AS t ORDER BY a LIMIT 1)"},
		"two parts": {inner, []branch.Branch{one}, []string{"P", "Q"},
			"SELECT * FROM ((SELECT a FROM (P) AS t ORDER BY a LIMIT 1) UNION ALL (SELECT a FROM (Q) AS t ORDER BY a LIMIT 1)) AS t ORDER BY a LIMIT 1"},
		"twice the same": {inner + inner, []branch.Branch{one}, []string{"P"}, "SELECT a FROM (P) AS t ORDER BY a LIMIT 1SELECT a FROM (P) AS t ORDER BY a LIMIT 1"},
		"one in another": {outer, []branch.Branch{one, two}, []string{"P"},
			"SELECT b FROM (P) AS t WHERE b IN (SELECT a FROM (P) AS t ORDER BY a LIMIT 1) ORDER BY b LIMIT 2"},
		"another first": {outer, []branch.Branch{two, one}, []string{"P", "Q"},
			branch.Expand(outer, []branch.Branch{one, two}, []string{"P", "Q"})},
	} {
		if diff := cmp.Diff(c.want, branch.Expand(c.sql, c.branches, c.parts)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	b := branch.Branch{ID: 3}
	b.First = &branch.First{SQL: "SELECT f, r FROM " + b.Part() + " AS t"}
	want := "SELECT f, r FROM (SELECT c1,c2, file_index, file_row_number FROM read_parquet(['a','b'])) AS t"
	if diff := cmp.Diff(want, b.Places("c1,c2", []string{"'a'", "'b'"})); diff != "" {
		t.Error(diff)
	}
}

func TestOnly(t *testing.T) {
	t.Parallel()
	files := []string{"'a'", "'b'", "'c'"}
	for name, c := range map[string]struct {
		places []branch.Place
		want   string
	}{
		"none": {nil, "SELECT c1 FROM read_parquet(['a']) WHERE false"},
		"one":  {[]branch.Place{{File: 1, Row: 7}}, "SELECT c1 FROM read_parquet(['b']) WHERE file_row_number IN (7)"},
		"some": {[]branch.Place{{File: 2, Row: 9}, {File: 0, Row: 0}, {File: 2, Row: 3}},
			"SELECT c1 FROM read_parquet(['a']) WHERE file_row_number IN (0) UNION ALL SELECT c1 FROM read_parquet(['c']) WHERE file_row_number IN (9,3)"},
	} {
		got, err := branch.Only("c1", files, c.places)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	for _, file := range []int64{-1, 3} {
		if got, err := branch.Only("c1", files, []branch.Place{{File: file}}); err == nil {
			t.Errorf("file %d: %s", file, got)
		}
	}
}
