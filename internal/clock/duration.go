package clock

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads Go's durations and, before them, days: "90d", "1d12h",
// "30m". Days are 24 hours.
func ParseDuration(text string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a duration such as 90d, 1d12h or 30m", text)
	days, rest, found := strings.Cut(text, "d")
	if !found {
		days, rest = "0", text
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, bad
	}
	total := time.Duration(n) * 24 * time.Hour
	if rest == "" && found {
		return total, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || found && d < 0 {
		return 0, bad
	}
	return total + d, nil
}
