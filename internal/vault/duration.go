package vault

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// duration is an ISO 8601 period as rotation policies use it: calendar parts
// and a time part.
type duration struct {
	years, months, days int
	clock               time.Duration
}

// parseDuration reads "P90D", "P1Y6M", "P2W", "PT12H" and their like; at least
// one part must be there and the parts must stand in their order.
func parseDuration(text string) (duration, error) {
	rest, ok := strings.CutPrefix(strings.ToUpper(text), "P")
	if !ok || rest == "" || len(rest) > 40 {
		return duration{}, notADuration(text)
	}
	date, clock, timed := strings.Cut(rest, "T")
	var d duration
	if err := parts(date, "YMWD", func(unit byte, n int) {
		switch unit {
		case 'Y':
			d.years = n
		case 'M':
			d.months = n
		case 'W':
			d.days += 7 * n
		case 'D':
			d.days += n
		}
	}); err != nil {
		return duration{}, err
	}
	if timed && clock == "" {
		return duration{}, notADuration(text)
	}
	err := parts(clock, "HMS", func(unit byte, n int) {
		d.clock += time.Duration(n) * map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second}[unit]
	})
	return d, err
}

func notADuration(text string) error { return fmt.Errorf("%q is not an ISO 8601 duration", text) }

// parts reads number/unit pairs whose units stand in the order of units.
func parts(text, units string, set func(unit byte, n int)) error {
	for text != "" {
		end := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
		if end < 1 || end > 6 {
			return notADuration(text)
		}
		at := strings.IndexByte(units, text[end])
		if at < 0 {
			return notADuration(text)
		}
		n, err := strconv.Atoi(text[:end])
		if err != nil {
			return notADuration(text)
		}
		set(text[end], n)
		units, text = units[at+1:], text[end+1:]
	}
	return nil
}

// after is the instant the duration later.
func (d duration) after(t time.Time) time.Time {
	return t.AddDate(d.years, d.months, d.days).Add(d.clock)
}

// before is the instant the duration earlier.
func (d duration) before(t time.Time) time.Time {
	return t.AddDate(-d.years, -d.months, -d.days).Add(-d.clock)
}

// atLeast compares with a number of days, taking a year for 365 and a month for 30.
func (d duration) atLeast(days int) bool {
	nominal := time.Duration(d.years*365+d.months*30+d.days)*24*time.Hour + d.clock
	return nominal >= time.Duration(days)*24*time.Hour
}
