package types

import (
	"strconv"
	"strings"
	"time"
)

// Lengths in ticks.
const (
	TicksPerMicrosecond = 10
	TicksPerMillisecond = 10_000
	TicksPerSecond      = 10_000_000
	TicksPerMinute      = 60 * TicksPerSecond
	TicksPerHour        = 60 * TicksPerMinute
	TicksPerDay         = 24 * TicksPerHour

	// MaxDateTime is the last tick of year 9999.
	MaxDateTime = 3155378975999999999
	// UnixEpoch is 1970-01-01 in ticks.
	UnixEpoch = 621355968000000000
)

// Ticks converts a time to ticks since 0001-01-01, in UTC.
func Ticks(t time.Time) int64 {
	return t.Unix()*TicksPerSecond + int64(t.Nanosecond())/100 + UnixEpoch
}

// Time converts ticks to a time in UTC.
func Time(ticks int64) time.Time {
	d := ticks - UnixEpoch
	sec, rest := d/TicksPerSecond, d%TicksPerSecond
	return time.Unix(sec, rest*100).UTC()
}

// FormatDateTime writes ticks as yyyy-MM-ddTHH:mm:ss.fffffffZ.
func FormatDateTime(ticks int64) string {
	return Time(ticks).Format("2006-01-02T15:04:05.0000000Z")
}

// FormatTimeSpan writes ticks as [-][d.]hh:mm:ss[.fffffff].
func FormatTimeSpan(ticks int64) string {
	var b strings.Builder
	u := uint64(ticks)
	if ticks < 0 {
		b.WriteByte('-')
		u = -u
	}
	if d := u / TicksPerDay; d > 0 {
		b.WriteString(strconv.FormatUint(d, 10))
		b.WriteByte('.')
	}
	two := func(n uint64) string {
		s := strconv.FormatUint(n, 10)
		if len(s) < 2 {
			s = "0" + s
		}
		return s
	}
	b.WriteString(two(u / TicksPerHour % 24))
	b.WriteByte(':')
	b.WriteString(two(u / TicksPerMinute % 60))
	b.WriteByte(':')
	b.WriteString(two(u / TicksPerSecond % 60))
	if f := u % TicksPerSecond; f > 0 {
		s := strconv.FormatUint(f, 10)
		b.WriteByte('.')
		b.WriteString(strings.Repeat("0", 7-len(s)) + s)
	}
	return b.String()
}

var dateLayouts = []string{
	"2006-1-2", "2006/1/2", "20060102", "1-2-2006", "1/2/2006",
	"2 Jan 2006", "2 January 2006", "Jan 2, 2006", "January 2, 2006", "Jan 2 2006", "January 2 2006", "2006-1", "2006",
}

var timeLayouts = []string{"15:04:05.999999999", "15:04:05", "15:04", "3:04:05.999999999 PM", "3:04:05 PM", "3:04 PM", "3 PM"}

var wholeLayouts = []string{
	time.RFC1123, time.RFC1123Z, "Mon, 2 Jan 2006 15:04:05 MST", "Mon, 2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05 MST", "2 Jan 2006 15:04:05 -0700",
	"Mon, 02 Jan 06 15:04:05 MST", "02 Jan 06 15:04 MST", "2 Jan 06 15:04:05 MST", "Monday, 02-Jan-06 15:04:05 MST", "Monday, 2-Jan-06 15:04:05 MST",
	"Mon Jan 2 15:04:05 2006", "Mon, 2 Jan 2006 15:04:05",
}

// ParseDateTime reads the date and time forms a datetime literal may have and gives ticks. An ambiguous day and month
// is read month first; text that is no valid date gives false.
func ParseDateTime(s string) (int64, bool) {
	s = strings.Join(strings.Fields(s), " ")
	if s == "" || len(s) > 64 {
		return 0, false
	}
	if len(s) > 5 && s[4] == ',' && strings.Trim(s, "0123456789, ") == "" {
		s = strings.ReplaceAll(strings.ReplaceAll(s, " ", ""), ",", "-") // 2025, 6, 14
	}
	for _, l := range wholeLayouts {
		if t, err := time.Parse(l, s); err == nil {
			if z, _ := t.Zone(); z != "" && z != "UTC" && z != "GMT" && z != "Z" && !strings.HasSuffix(l, "-0700") {
				return 0, false
			}
			return inRange(t)
		}
	}
	date, clock := s, ""
	if i := strings.IndexAny(s, "Tt"); i > 0 && s[i-1] >= '0' && s[i-1] <= '9' && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9' {
		date, clock = s[:i], s[i+1:]
	} else if i := strings.IndexByte(s, ':'); i > 0 {
		j := strings.LastIndexByte(s[:i], ' ')
		if j < 0 {
			return 0, false
		}
		date, clock = s[:j], s[j+1:]
	} else if strings.HasSuffix(strings.ToUpper(s), "Z") {
		date = s[:len(s)-1]
	}
	var day time.Time
	found := false
	for _, l := range dateLayouts {
		if t, err := time.Parse(l, date); err == nil {
			day, found = t, true
			break
		}
	}
	if !found {
		return 0, false
	}
	if clock == "" {
		return inRange(day)
	}
	offset := time.Duration(0)
	upper := strings.ToUpper(strings.TrimSpace(clock))
	switch {
	case strings.HasSuffix(upper, "Z"):
		upper = strings.TrimSpace(upper[:len(upper)-1])
	case strings.HasSuffix(upper, " UTC"), strings.HasSuffix(upper, " GMT"):
		upper = strings.TrimSpace(upper[:len(upper)-4])
	default:
		if i := strings.LastIndexAny(upper, "+-"); i > 0 {
			o, ok := zoneOffset(upper[i:])
			if !ok {
				return 0, false
			}
			offset, upper = o, strings.TrimSpace(upper[:i])
		}
	}
	for _, l := range timeLayouts {
		if t, err := time.Parse(l, upper); err == nil {
			if i := strings.IndexByte(upper, '.'); i > 0 && len(strings.TrimRight(upper[i+1:], " APM")) > 9 {
				return 0, false
			}
			h, m, sec := t.Clock()
			d := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(sec)*time.Second + time.Duration(t.Nanosecond())
			return inRange(day.Add(d - offset))
		}
	}
	return 0, false
}

func zoneOffset(s string) (time.Duration, bool) {
	digits := strings.ReplaceAll(s[1:], ":", "")
	if len(digits) == 2 {
		digits += "00"
	}
	n, err := strconv.Atoi(digits)
	if err != nil || len(digits) != 4 || n/100 > 14 || n%100 > 59 {
		return 0, false
	}
	d := time.Duration(n/100)*time.Hour + time.Duration(n%100)*time.Minute
	if s[0] == '-' {
		d = -d
	}
	return d, true
}

func inRange(t time.Time) (int64, bool) {
	t = t.UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		return 0, false
	}
	return Ticks(t), true
}

// Unit gives the length in ticks of a timespan unit as a literal spells it.
func Unit(name string) (int64, bool) {
	switch name {
	case "d", "day", "days":
		return TicksPerDay, true
	case "h", "hr", "hrs", "hour", "hours":
		return TicksPerHour, true
	case "m", "min", "minute", "minutes":
		return TicksPerMinute, true
	case "s", "sec", "second", "seconds":
		return TicksPerSecond, true
	case "ms", "milli", "millis", "millisec", "millisecond", "milliseconds":
		return TicksPerMillisecond, true
	case "micro", "micros", "microsec", "microsecond", "microseconds":
		return TicksPerMicrosecond, true
	case "nano", "nanos", "nanosec", "nanosecond", "nanoseconds":
		return 0, false
	case "tick", "ticks":
		return 1, true
	}
	return 0, false
}

// ParseTimeSpan reads a timespan literal's content: a number with a unit (1.5h), a bare number of days, or
// [-][d.]hh:mm[:ss[.fffffff]].
func ParseTimeSpan(s string) (int64, bool) {
	s = strings.TrimSpace(s)
	neg := strings.HasPrefix(s, "-")
	body := strings.TrimSpace(strings.TrimPrefix(s, "-"))
	if body == "" || body[0] < '0' || body[0] > '9' {
		return 0, false
	}
	var t int64
	var ok bool
	if strings.Contains(body, ":") {
		t, ok = parseClock(body)
	} else {
		i := 0
		for i < len(body) && (body[i] >= '0' && body[i] <= '9' || body[i] == '.') {
			i++
		}
		unit := int64(TicksPerDay)
		if u := strings.TrimSpace(body[i:]); u != "" {
			if unit, ok = Unit(u); !ok {
				return 0, false
			}
		}
		t, ok = scaled(body[:i], unit)
	}
	if neg {
		t = -t
	}
	return t, ok
}

func scaled(number string, unit int64) (int64, bool) {
	whole, frac, _ := strings.Cut(number, ".")
	w, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || w > (1<<63-1)/unit {
		return 0, false
	}
	t := w * unit
	if frac != "" {
		f, err := strconv.ParseFloat("0."+frac, 64)
		if err != nil {
			return 0, false
		}
		t += int64(f*float64(unit) + 0.5)
	}
	return t, t >= 0
}

func parseClock(s string) (int64, bool) {
	parts := strings.Split(s, ":")
	if len(parts) > 3 {
		return 0, false
	}
	days, hours := int64(0), parts[0]
	if d, h, ok := strings.Cut(parts[0], "."); ok {
		n, err := strconv.ParseInt(d, 10, 64)
		if err != nil || n < 0 || n > 10675199 {
			return 0, false
		}
		days, hours = n, h
	}
	h, ok1 := small(hours, 23)
	m, ok2 := small(parts[1], 59)
	if !ok1 || !ok2 {
		return 0, false
	}
	t := days*TicksPerDay + h*TicksPerHour + m*TicksPerMinute
	if len(parts) == 3 {
		sec, frac, _ := strings.Cut(parts[2], ".")
		n, ok := small(sec, 59)
		if !ok || len(frac) > 7 {
			return 0, false
		}
		t += n * TicksPerSecond
		if frac != "" {
			f, err := strconv.ParseUint(frac+strings.Repeat("0", 7-len(frac)), 10, 32)
			if err != nil {
				return 0, false
			}
			t += int64(f)
		}
	}
	return t, t >= 0
}

func small(s string, limit int64) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 8)
	return int64(n), err == nil && int64(n) <= limit && len(s) <= 2
}
