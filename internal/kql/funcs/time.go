package funcs

import (
	"fmt"
	"strings"

	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

func timeFunctions() []Scalar {
	const dt, ts, i, l = types.DateTime, types.TimeSpan, types.Int, types.Long
	list := []Scalar{
		custom("now", Default, "p?", func(ctx Context, a []plan.Expr) (plan.Expr, error) {
			now := plan.Expr(&plan.Lit{Typ: dt, Int: ctx.Now})
			if len(a) == 1 {
				return Arithmetic("+", now, a[0])
			}
			return now, nil
		}),
		custom("ago", Default, "p", func(ctx Context, a []plan.Expr) (plan.Expr, error) {
			return Arithmetic("-", &plan.Lit{Typ: dt, Int: ctx.Now}, a[0])
		}),
		fn("dayofweek", Default, "t", ts), fn("dayofmonth", Default, "t", i), fn("dayofyear", Default, "t", i), fn("hourofday", Default, "t", i),
		fn("monthofyear", Default, "t", i), op("getmonth", Default, "t", i, "monthofyear"), fn("getyear", Default, "t", i),
		fn("week_of_year", Default, "t", i), op("weekofyear", Default, "t", i, "week_of_year"),
		custom("datetime_diff", Default, "S t t", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			return withPart("datetime_diff", l, a[0], a[1:]...)
		}),
		custom("datetime_add", Default, "S i t", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			return withPart("datetime_add", dt, a[0], a[1:]...)
		}),
		custom("datetime_part", Default, "S t", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			return withPart("datetime_part", i, a[0], a[1])
		}),
		custom("format_datetime", First, "t S", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			return format("format_datetime", "datetime.token", a[0], a[1].(*plan.Lit).Text, "dfFhHmMsyt")
		}),
		custom("format_timespan", First, "p S", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			return format("format_timespan", "timespan.token", a[0], a[1].(*plan.Lit).Text, "dfFhHms")
		}),
		{Name: "make_datetime", Bind: bindMakeDateTime},
		{Name: "make_timespan", Bind: bindMakeTimeSpan},
		custom("unixtime_seconds_todatetime", Default, "m", unixtime(types.TicksPerSecond)),
		custom("unixtime_milliseconds_todatetime", Default, "m", unixtime(types.TicksPerMillisecond)),
		custom("unixtime_microseconds_todatetime", Default, "m", unixtime(types.TicksPerMicrosecond)),
		custom("unixtime_nanoseconds_todatetime", Default, "m", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			if !a[0].Type().Integer() {
				return nil, fmt.Errorf("unixtime_nanoseconds_todatetime(): argument 1 is expected to be an integer and is %s", a[0].Type())
			}
			return call("unixtime.nano", dt, Cast(a[0], l)), nil
		}),
	}
	for _, unit := range []string{"day", "week", "month", "year"} {
		for _, edge := range []string{"startof", "endof"} {
			list = append(list, custom(edge+unit, First, "t i?", func(_ Context, a []plan.Expr) (plan.Expr, error) {
				if len(a) == 1 {
					a = append(a, plan.Long(0))
				}
				return call(edge+unit, dt, a...), nil
			}))
		}
	}
	return list
}

// units are the parts of a datetime by their accepted names.
var units = map[string]string{
	"year": "year", "years": "year", "quarter": "quarter", "quarters": "quarter", "month": "month", "months": "month", "week": "week", "weeks": "week",
	"day": "day", "days": "day", "hour": "hour", "hours": "hour", "minute": "minute", "minutes": "minute", "second": "second", "seconds": "second",
	"millisecond": "millisecond", "milliseconds": "millisecond", "microsecond": "microsecond", "microseconds": "microsecond",
	"nanosecond": "nanosecond", "nanoseconds": "nanosecond",
	"dayofyear": "dayofyear", "day_of_year": "dayofyear", "weekofyear": "weekofyear", "week_of_year": "weekofyear",
}

func withPart(name string, t types.Type, part plan.Expr, args ...plan.Expr) (plan.Expr, error) {
	u, ok := units[strings.ToLower(part.(*plan.Lit).Text)]
	if ok && name != "datetime_part" {
		ok = u != "dayofyear" && u != "weekofyear"
	} else if ok && u == "week" {
		u = "weekofyear"
	}
	if !ok {
		return nil, fmt.Errorf("%s(): the part '%s' is not known", name, part.(*plan.Lit).Text)
	}
	c := call(name, t, args...)
	c.Text = u
	return c, nil
}

// format splits a format text into runs of one letter, which become tokens, and delimiters.
func format(name, operation string, x plan.Expr, text, letters string) (plan.Expr, error) {
	limits := map[byte]int{'d': 2, 'f': 7, 'F': 7, 'h': 2, 'H': 2, 'm': 2, 'M': 2, 's': 2, 'y': 4, 't': 2}
	if operation == "timespan.token" {
		limits['d'] = 8
	}
	var parts []plan.Expr
	for i := 0; i < len(text); {
		c, j := text[i], i+1
		if strings.IndexByte(letters, c) < 0 {
			if strings.IndexByte(" /-:,.[]_", c) < 0 {
				return nil, fmt.Errorf("%s(): the character '%c' in the format is not supported", name, c)
			}
			parts = append(parts, plan.Text(string(c)))
			i = j
			continue
		}
		for j < len(text) && text[j] == c {
			j++
		}
		if n := j - i; n > limits[c] || c == 't' && n != 2 || c == 'y' && n == 3 {
			return nil, fmt.Errorf("%s(): the format '%s' is not supported", name, text[i:j])
		}
		t := call(operation, types.String, x)
		t.Text = text[i:j]
		parts = append(parts, t)
		i = j
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("%s(): the format is empty", name)
	}
	return call("format", types.String, append([]plan.Expr{x, plan.Text("")}, parts...)...), nil
}

func bindMakeDateTime(ctx Context, args []plan.Expr) (plan.Expr, error) {
	if len(args) == 1 {
		return Convert(args[0], types.DateTime)
	}
	a, err := coerceAll("make_datetime", "i i i i? i? m?", args)
	if err != nil {
		return nil, err
	}
	if len(a) == 4 {
		return nil, fmt.Errorf("make_datetime(): the function does not take 4 arguments")
	}
	for len(a) < 6 {
		a = append(a, plan.Long(0))
	}
	if a[5].Type() == types.Decimal {
		return nil, fmt.Errorf("make_datetime(): decimal seconds are not supported")
	}
	a[5] = Cast(a[5], types.Real)
	return call("make_datetime", types.DateTime, a...), nil
}

func bindMakeTimeSpan(_ Context, args []plan.Expr) (plan.Expr, error) {
	a, err := coerceAll("make_timespan", "i i m? m?", args)
	if err != nil {
		return nil, err
	}
	switch len(a) {
	case 2:
		a = []plan.Expr{plan.Long(0), a[0], a[1], plan.Long(0)}
	case 3:
		a = append([]plan.Expr{plan.Long(0)}, a...)
	}
	if !a[2].Type().Integer() || a[3].Type() == types.Decimal {
		return nil, fmt.Errorf("make_timespan(): the argument types are not supported")
	}
	a[2], a[3] = Cast(a[2], types.Long), Cast(a[3], types.Real)
	return call("make_timespan", types.TimeSpan, a...), nil
}

func unixtime(unit int64) func(Context, []plan.Expr) (plan.Expr, error) {
	return func(_ Context, a []plan.Expr) (plan.Expr, error) {
		switch t := a[0].Type(); {
		case t.Integer():
			return call("unixtime", types.DateTime, Cast(a[0], types.Long), plan.Long(unit)), nil
		case t == types.Real:
			return call("unixtime.real", types.DateTime, a[0], plan.Long(unit)), nil
		}
		return nil, fmt.Errorf("the unix time is expected to be a number and is %s", a[0].Type())
	}
}
