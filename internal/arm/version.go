package arm

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
)

var versionShape = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})(-[a-z]+(?:\.\d+)?)?$`)

// version is a parsed api-version. Of one date, a stable version is newer than
// any preview.
type version struct {
	date   string
	suffix string // "-preview" …, "" when stable
}

// parseVersion reads "2023-08-15" or "2023-08-15-preview" (without case); ok
// is false for anything else and for dates that no calendar has.
func parseVersion(text string) (v version, ok bool) {
	m := versionShape.FindStringSubmatch(strings.ToLower(text))
	if m == nil {
		return version{}, false
	}
	if _, err := time.Parse(time.DateOnly, m[1]); err != nil {
		return version{}, false
	}
	return version{date: m[1], suffix: m[2]}, true
}

func (v version) compare(w version) int {
	if c := strings.Compare(v.date, w.date); c != 0 {
		return c
	}
	switch {
	case v.suffix == w.suffix:
		return 0
	case v.suffix == "":
		return 1
	case w.suffix == "":
		return -1
	}
	return strings.Compare(v.suffix, w.suffix)
}

// shapeFor is the newest of known (newest first) that is not newer than v. A
// preview of a date whose only known version is the stable one has its shape.
// ok is false when v is older than everything known.
func shapeFor(v version, known []string) (shape string, ok bool) {
	for _, k := range known {
		kv, valid := parseVersion(k)
		if valid && (kv.compare(v) <= 0 || kv.date == v.date && kv.suffix == "" && !slices.Contains(known, v.date+v.suffix)) {
			return k, true
		}
	}
	return "", false
}

// newestFirst sorts api-versions, newest first and without doubles.
func newestFirst(versions []string) []string {
	out := slices.Clone(versions)
	slices.SortFunc(out, func(a, b string) int {
		va, _ := parseVersion(a)
		vb, _ := parseVersion(b)
		return cmp.Or(vb.compare(va), strings.Compare(a, b))
	})
	return slices.Compact(out)
}

// ownVersions are the versions of ARM's own routes, newest first; the error
// for a wrong one prints them all.
func ownVersions() []string {
	return []string{
		"2025-04-01", "2025-03-01", "2024-11-01", "2024-07-01", "2024-03-01", "2023-07-01", "2022-12-01", "2022-09-01", "2022-06-01",
		"2022-05-01", "2022-01-01", "2021-04-01", "2021-01-01", "2020-10-01", "2020-09-01", "2020-08-01", "2020-07-01", "2020-06-01",
		"2020-05-01", "2020-01-01", "2019-11-01", "2019-10-01", "2019-09-01", "2019-08-01", "2019-07-01", "2019-06-01", "2019-05-10",
		"2019-05-01", "2019-03-01", "2018-11-01", "2018-09-01", "2018-08-01", "2018-07-01", "2018-06-01", "2018-05-01", "2018-02-01",
		"2018-01-01", "2017-12-01", "2017-08-01", "2017-06-01", "2017-05-10", "2017-05-01", "2017-03-01", "2016-09-01", "2016-07-01",
		"2016-06-01", "2016-02-01", "2015-11-01", "2015-01-01", "2014-04-01", "2014-01-01",
	}
}
