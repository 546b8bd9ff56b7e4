package sqlgen

import (
	"strconv"

	"github.com/kustos-io/kustos/internal/kql/plan"
)

// ticksPer are the parts of a datetime with a fixed length.
var ticksPer = map[string]string{
	"week": "6048000000000", "day": "864000000000", "hour": "36000000000", "minute": "600000000", "second": "10000000", "millisecond": "10000", "microsecond": "10",
}

// part writes the functions that take the name of a part.
func (d DuckDB) part(g *Generator, c *plan.Call) (string, error) {
	a, err := g.Exprs(c.Args)
	if err != nil {
		return "", err
	}
	months := map[string]string{"year": "12", "quarter": "3", "month": "1"}[c.Text]
	fixed := ticksPer[c.Text]
	switch c.Op {
	case "datetime_add":
		switch {
		case months != "":
			return "kq_addmonths(" + a[1] + ", " + a[0] + " * " + months + ")", nil
		case c.Text == "nanosecond":
			return "kq_range(" + a[1] + " + " + a[0] + " // 100)", nil
		}
		return "kq_range(" + a[1] + " + " + a[0] + " * " + fixed + ")", nil
	case "datetime_diff":
		x, y := "kq_time("+a[0]+")", "kq_time("+a[1]+")"
		switch c.Text {
		case "year":
			return "(year(" + x + ") - year(" + y + "))", nil
		case "quarter":
			return "((year(" + x + ") - year(" + y + ")) * 4 + quarter(" + x + ") - quarter(" + y + "))", nil
		case "month":
			return "((year(" + x + ") - year(" + y + ")) * 12 + month(" + x + ") - month(" + y + "))", nil
		case "week": // weeks begin on Sunday; day 0 was a Monday
			return "((" + a[0] + " // 864000000000 + 1) // 7 - (" + a[1] + " // 864000000000 + 1) // 7)", nil
		case "nanosecond":
			return "((" + a[0] + " - " + a[1] + ") * 100)", nil
		}
		return "(" + a[0] + " // " + fixed + " - " + a[1] + " // " + fixed + ")", nil
	}
	t := a[0]
	s := ""
	switch c.Text {
	case "year", "quarter", "month", "day", "hour", "minute", "second":
		s = c.Text + "(kq_time(" + t + "))"
	case "weekofyear":
		s = "week(kq_time(" + t + "))"
	case "dayofyear":
		s = "dayofyear(kq_time(" + t + "))"
	case "millisecond":
		s = "(" + t + " % 10000000 // 10000)"
	case "microsecond":
		s = "(" + t + " % 10000000 // 10)"
	case "nanosecond":
		s = "(" + t + " % 10000000 * 100)"
	}
	return "CAST(" + s + " AS INTEGER)", nil
}

// token writes one run of a format text.
func (d DuckDB) token(g *Generator, c *plan.Call) (string, error) {
	t, err := g.Expr(c.Args[0])
	if err != nil {
		return "", err
	}
	letter, width := c.Text[0], len(c.Text)
	span := c.Op == "timespan.token"
	if span {
		t = "abs(" + t + ")"
	}
	pad := func(x string, w int) string {
		if w == 1 {
			return "CAST(" + x + " AS VARCHAR)"
		}
		// Wider numbers than the format keep all their digits.
		return "lpad(CAST(" + x + " AS VARCHAR), CAST(greatest(" + strconv.Itoa(w) + ", length(CAST(" + x + " AS VARCHAR))) AS INTEGER), '0')"
	}
	hour := t + " // 36000000000 % 24"
	switch letter {
	case 'd':
		if span {
			return pad(t+" // 864000000000", width), nil
		}
		return pad("day(kq_time("+t+"))", width), nil
	case 'H':
		return pad(hour, width), nil
	case 'h':
		if span {
			return pad(hour, width), nil
		}
		return pad("(("+hour+" + 11) % 12 + 1)", width), nil
	case 'm':
		return pad(t+" // 600000000 % 60", width), nil
	case 's':
		return pad(t+" // 10000000 % 60", width), nil
	case 'M':
		return pad("month(kq_time("+t+"))", width), nil
	case 'y':
		if width == 4 {
			return pad("year(kq_time("+t+"))", 4), nil
		}
		return pad("(year(kq_time("+t+")) % 100)", width), nil
	case 't':
		return "CASE WHEN " + hour + " < 12 THEN 'AM' ELSE 'PM' END", nil
	case 'f', 'F':
		s := "left(kq_pad(" + t + " % 10000000, 7), " + strconv.Itoa(width) + ")"
		if letter == 'F' {
			s = "rtrim(" + s + ", '0')"
		}
		return s, nil
	}
	return "", errorf("BUG: a format token of unknown kind %s", c.Text)
}
