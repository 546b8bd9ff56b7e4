package eval

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/arm/template/value"
)

func dateFunctions() map[string]*builtin {
	return map[string]*builtin{
		"utcNow": {least: 0, most: 1, eager: func(c *call, args []value.Value) (value.Value, error) {
			if c.env.Fresh == nil {
				return nil, misplaced(c.name)
			}
			spec := "yyyyMMddTHHmmssZ"
			if len(args) == 1 {
				s, ok := args[0].(string)
				if !ok {
					return nil, wrongType(c.name, "of type 'String'", args[0])
				}
				spec = s
			}
			return formatTime(c, c.env.Fresh.Now.UTC(), spec)
		}},
		"dateTimeAdd":       {least: 2, most: 3, eager: dateTimeAdd},
		"dateTimeFromEpoch": {least: 1, most: 1, eager: dateTimeFromEpoch},
		"dateTimeToEpoch": {least: 1, most: 1, eager: func(c *call, args []value.Value) (value.Value, error) {
			t, err := parseTime(c, args[0])
			if err != nil {
				return nil, err
			}
			return t.Unix(), nil
		}},
	}
}

// isoSeconds is the form dates are printed in when no format is asked for.
const isoSeconds = "2006-01-02T15:04:05Z"

func parseTime(c *call, v value.Value) (time.Time, error) {
	s, ok := v.(string)
	if !ok {
		return time.Time{}, wrongArgument(c.name, 0, "String", v)
	}
	text := strings.TrimSpace(s)
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04Z07:00",
		"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02",
		"20060102T150405Z", "1/2/2006 3:04:05 PM", "01/02/2006 15:04:05", "1/2/2006", time.RFC1123,
	} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, Errorf("The template language function '%s' expects its first parameter to be a date and time string. The provided value is '%s'. %s", c.name, s, see(c.name))
}

func dateTimeAdd(c *call, args []value.Value) (value.Value, error) {
	t, err := parseTime(c, args[0])
	if err != nil {
		return nil, err
	}
	s, ok := args[1].(string)
	if !ok {
		return nil, wrongArgument(c.name, 1, "String", args[1])
	}
	days, nanos, ok := parseDuration(s)
	if !ok {
		return nil, Errorf("The template language function '%s' expects its second parameter to be an ISO 8601 duration. The provided value is '%s'. %s", c.name, s, see(c.name))
	}
	t = t.AddDate(0, 0, days).Add(nanos)
	if t.Year() < 1 || t.Year() > 9999 {
		return nil, Errorf("The template language function '%s' cannot be evaluated: the resulting date is out of range. %s", c.name, see(c.name))
	}
	if len(args) == 2 {
		return t.Format(isoSeconds), nil
	}
	spec, ok := args[2].(string)
	if !ok {
		return nil, wrongArgument(c.name, 2, "String", args[2])
	}
	return formatTime(c, t, spec)
}

// parseDuration reads an ISO 8601 duration. A year is 365 days and a month 30,
// which is what the service makes of them.
func parseDuration(s string) (days int, rest time.Duration, ok bool) {
	sign := 1
	if strings.HasPrefix(s, "-") {
		sign, s = -1, s[1:]
	}
	if !strings.HasPrefix(s, "P") || len(s) < 3 || s[len(s)-1] == 'T' {
		return 0, 0, false
	}
	s = s[1:]
	inTime := false
	seconds := 0.0
	for s != "" {
		if s[0] == 'T' && !inTime {
			inTime, s = true, s[1:]
			continue
		}
		i := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' && r != ',' })
		if i <= 0 {
			return 0, 0, false
		}
		n, err := strconv.ParseFloat(strings.ReplaceAll(s[:i], ",", "."), 64)
		if err != nil || n > 1e12 || n != math.Trunc(n) && s[i] != 'S' {
			return 0, 0, false
		}
		switch unit := s[i]; {
		case !inTime && unit == 'Y':
			days += int(n) * 365
		case !inTime && unit == 'M':
			days += int(n) * 30
		case !inTime && unit == 'W':
			days += int(n) * 7
		case !inTime && unit == 'D':
			days += int(n)
		case inTime && unit == 'H':
			seconds += n * 3600
		case inTime && unit == 'M':
			seconds += n * 60
		case inTime && unit == 'S':
			seconds += n
		default:
			return 0, 0, false
		}
		s = s[i+1:]
	}
	if days > 4_000_000 || seconds > 9e9 {
		return 0, 0, false
	}
	return sign * days, time.Duration(sign) * time.Duration(math.Round(seconds*1e9)), true
}

func dateTimeFromEpoch(c *call, args []value.Value) (value.Value, error) {
	n, ok := args[0].(int64)
	if !ok {
		return nil, wrongType(c.name, "of type 'Integer'", args[0])
	}
	t := time.Unix(n, 0).UTC()
	if n < -62135596800 || n > 253402300799 {
		return nil, Errorf("The template language function '%s' expects its parameter to be within the years 1 to 9999. The provided value is '%d'. %s", c.name, n, see(c.name))
	}
	return t.Format(isoSeconds), nil
}

// formatTime prints a UTC time by a .NET standard or custom format string in
// the invariant culture.
func formatTime(c *call, t time.Time, spec string) (value.Value, error) {
	bad := Errorf("The template language function '%s' was invoked with a date format that is not valid: '%s'. %s", c.name, spec, see(c.name))
	if len(spec) == 1 {
		custom, ok := standardFormat(spec[0])
		if !ok {
			return nil, bad
		}
		spec = custom
	}
	if spec == "" {
		spec = "MM/dd/yyyy HH:mm:ss"
	}
	out, ok := customTime(t, spec)
	if !ok {
		return nil, bad
	}
	return out, nil
}

func standardFormat(letter byte) (string, bool) {
	switch letter {
	case 'd':
		return "MM/dd/yyyy", true
	case 'D':
		return "dddd, dd MMMM yyyy", true
	case 'f':
		return "dddd, dd MMMM yyyy HH:mm", true
	case 'F', 'U':
		return "dddd, dd MMMM yyyy HH:mm:ss", true
	case 'g':
		return "MM/dd/yyyy HH:mm", true
	case 'G':
		return "MM/dd/yyyy HH:mm:ss", true
	case 'M', 'm':
		return "MMMM dd", true
	case 'O', 'o':
		return "yyyy'-'MM'-'dd'T'HH':'mm':'ss'.'fffffffK", true
	case 'R', 'r':
		return "ddd, dd MMM yyyy HH':'mm':'ss 'GMT'", true
	case 's':
		return "yyyy'-'MM'-'dd'T'HH':'mm':'ss", true
	case 't':
		return "HH:mm", true
	case 'T':
		return "HH:mm:ss", true
	case 'u':
		return "yyyy'-'MM'-'dd HH':'mm':'ss'Z'", true
	case 'Y', 'y':
		return "yyyy MMMM", true
	}
	return "", false
}

func customTime(t time.Time, spec string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(spec); {
		ch := spec[i]
		switch ch {
		case '\'', '"':
			end := strings.IndexByte(spec[i+1:], ch)
			if end < 0 {
				return "", false
			}
			b.WriteString(spec[i+1 : i+1+end])
			i += end + 2
			continue
		case '\\':
			if i+1 >= len(spec) {
				return "", false
			}
			b.WriteByte(spec[i+1])
			i += 2
			continue
		case '%':
			i++
			continue
		}
		n := 1
		for i+n < len(spec) && spec[i+n] == ch {
			n++
		}
		if !timePart(&b, t, ch, n) {
			b.WriteString(spec[i : i+n])
		}
		i += n
	}
	return b.String(), true
}

// timePart writes n times the letter ch of a format; false when it is no
// format letter.
func timePart(b *strings.Builder, t time.Time, ch byte, n int) bool {
	number := func(v, width int) {
		s := strconv.Itoa(v)
		for len(s) < width {
			s = "0" + s
		}
		b.WriteString(s)
	}
	switch ch {
	case 'y':
		if n <= 2 {
			number(t.Year()%100, n)
		} else {
			number(t.Year(), n)
		}
	case 'M':
		switch n {
		case 1, 2:
			number(int(t.Month()), n)
		case 3:
			b.WriteString(t.Month().String()[:3])
		default:
			b.WriteString(t.Month().String())
		}
	case 'd':
		switch n {
		case 1, 2:
			number(t.Day(), n)
		case 3:
			b.WriteString(t.Weekday().String()[:3])
		default:
			b.WriteString(t.Weekday().String())
		}
	case 'H':
		number(t.Hour(), min(n, 2))
	case 'h':
		number((t.Hour()+11)%12+1, min(n, 2))
	case 'm':
		number(t.Minute(), min(n, 2))
	case 's':
		number(t.Second(), min(n, 2))
	case 'f', 'F':
		frac := strconv.Itoa(1_000_000_000 + t.Nanosecond())[1:]
		frac = frac[:min(n, 7)]
		if ch == 'F' {
			frac = strings.TrimRight(frac, "0")
		}
		b.WriteString(frac)
	case 't':
		half := "AM"
		if t.Hour() >= 12 {
			half = "PM"
		}
		b.WriteString(half[:min(n, 2)])
	case 'z':
		b.WriteString([]string{"+0", "+00", "+00:00"}[min(n, 3)-1])
	case 'K':
		b.WriteString(strings.Repeat("Z", n))
	case 'g':
		b.WriteString("A.D.")
	case ':', '/':
		b.WriteString(strings.Repeat(string(ch), n))
	default:
		return false
	}
	return true
}
