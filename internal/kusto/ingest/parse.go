package ingest

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/ids"
)

const (
	ticksPerSecond = int64(10_000_000)
	// unixTicks is 1970-01-01 in ticks since 0001-01-01.
	unixTicks = int64(621_355_968_000_000_000)
	maxTicks  = int64(3_155_378_975_999_999_999) // 9999-12-31T23:59:59.9999999
)

func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	}
	return false, false
}

func parseInt(s string, bits int) (int64, bool) {
	s = strings.TrimSpace(s)
	if hex, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		v, err := strconv.ParseUint(hex, 16, bits)
		return int64(v), err == nil
	}
	v, err := strconv.ParseInt(strings.TrimPrefix(s, "+"), 10, bits)
	return v, err == nil
}

func parseReal(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	if strings.ContainsAny(s, "_xXpP") { // Go's own number syntax
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}

func parseDecimal(s string) (decimal128.Num, bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return decimal128.Num{}, false
	}
	v, err := decimal128.FromString(s, 38, 18)
	return v, err == nil
}

func parseGUID(s string) (string, bool) {
	s = strings.ToLower(strings.Trim(strings.TrimSpace(s), "{}()"))
	if len(s) == 32 {
		s = s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
	}
	return s, ids.IsGUID(s)
}

func parseTicksOrLong(t catalog.Type, s string) (int64, bool) {
	switch t {
	case catalog.Datetime:
		return parseDatetime(s)
	case catalog.Timespan:
		return parseTimespan(s)
	}
	return parseInt(s, 64)
}

// datetimeLayouts are tried in order; fractions of any length are allowed
// after seconds. Ambiguous numeric dates are month first, as in Kusto.
func datetimeLayouts() []string {
	return []string{
		"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04:05",
		"2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02", "2006-01", "2006/01/02 15:04:05", "2006/01/02 15:04", "2006/01/02", "20060102",
		time.RFC1123, time.RFC1123Z, time.RFC850, time.RFC822, time.RFC822Z, time.ANSIC,
		"1/2/2006 3:04:05 PM", "1/2/2006 15:04:05", "1/2/2006 15:04", "1/2/2006", "01-02-2006",
		"2 Jan 2006 15:04:05", "2 Jan 2006", "Jan 2, 2006", "January 2, 2006",
	}
}

func parseDatetime(s string) (int64, bool) {
	s = strings.TrimSpace(s)
	if len(s) < 4 {
		return 0, false
	}
	for _, layout := range datetimeLayouts() {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		t = t.UTC()
		ticks := t.Unix()*ticksPerSecond + int64(t.Nanosecond())/100 + unixTicks
		return ticks, ticks >= 0 && ticks <= maxTicks
	}
	return 0, false
}

// parseTimespan reads [-][d.]hh:mm[:ss[.fffffff]], a bare number of days, and
// short forms such as 1d, 2.5h, 10ms.
func parseTimespan(s string) (int64, bool) {
	s = strings.TrimSpace(s)
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	if s == "" {
		return 0, false
	}
	ticks, ok := int64(0), false
	if strings.Contains(s, ":") {
		ticks, ok = clockTimespan(s)
	} else {
		ticks, ok = shortTimespan(s)
	}
	if neg {
		ticks = -ticks
	}
	return ticks, ok
}

func clockTimespan(s string) (int64, bool) {
	var days int64
	first, rest, _ := strings.Cut(s, ":")
	if d, h, ok := strings.Cut(first, "."); ok {
		v, err := strconv.ParseInt(d, 10, 32)
		if err != nil {
			return 0, false
		}
		days, s = v, h+":"+rest
	}
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return 0, false
	}
	hours, err1 := strconv.ParseInt(parts[0], 10, 32)
	minutes, err2 := strconv.ParseInt(parts[1], 10, 32)
	if err1 != nil || err2 != nil || hours < 0 || hours > 23 || minutes < 0 || minutes > 59 {
		return 0, false
	}
	ticks := ((days*24+hours)*60 + minutes) * 60 * ticksPerSecond
	if len(parts) == 3 {
		whole, frac, _ := strings.Cut(parts[2], ".")
		seconds, err := strconv.ParseInt(whole, 10, 32)
		if err != nil || seconds < 0 || seconds > 59 || len(frac) > 7 {
			return 0, false
		}
		ticks += seconds * ticksPerSecond
		if frac != "" {
			f, err := strconv.ParseUint((frac + "0000000")[:7], 10, 32)
			if err != nil {
				return 0, false
			}
			ticks += int64(f)
		}
	}
	return ticks, true
}

func shortTimespan(s string) (int64, bool) {
	number := strings.TrimRightFunc(s, func(r rune) bool { return r >= 'a' && r <= 'z' })
	unit := map[string]float64{"": 86400e7, "d": 86400e7, "h": 3600e7, "m": 60e7, "s": 1e7, "ms": 1e4, "microsecond": 10, "tick": 1}
	scale, ok := unit[s[len(number):]]
	v, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || strings.ContainsAny(number, "eExX_+-") || math.Abs(v*scale) > math.MaxInt64/2 {
		return 0, false
	}
	return int64(math.Round(v * scale)), true
}

// dynamicText is the JSON that a dynamic cell stores: the text itself when it
// is JSON, else a JSON string that holds it.
func dynamicText(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if json.Valid([]byte(s)) {
		return strings.TrimSpace(s)
	}
	quoted, err := json.Marshal(s)
	if err != nil {
		panic("BUG: a string does not marshal: " + err.Error())
	}
	return string(quoted)
}
