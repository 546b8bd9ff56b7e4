package kusto

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kustos-io/kustos/internal/kql/types"
)

// ticksPerSecond is the resolution of datetime and timespan: 100 ns.
const ticksPerSecond = 10_000_000

// appendReal writes the shortest text that reads back as v; NaN and the
// infinities are the strings that every client knows.
func appendReal(b []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(b, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(b, `"-Infinity"`...)
	}
	start := len(b)
	if abs := math.Abs(v); abs != 0 && (abs < 1e-5 || abs >= 1e15) {
		b = strconv.AppendFloat(b, v, 'e', -1, 64)
	} else {
		b = strconv.AppendFloat(b, v, 'f', -1, 64)
	}
	if !strings.ContainsAny(string(b[start:]), ".e") {
		b = append(b, ".0"...) // keeps a real apart from a long
	}
	return b
}

// maxTicks is 9999-12-31T23:59:59.9999999, the last datetime.
const maxTicks = 3_155_378_975_999_999_999

// appendDatetime writes ticks since 0001-01-01 as yyyy-MM-ddTHH:mm:ss[.fffffff]Z.
// What lies outside a datetime's range is null, as every result out of range.
func appendDatetime(b []byte, ticks int64) []byte {
	if ticks < 0 || ticks > maxTicks {
		return append(b, "null"...)
	}
	secs, frac := ticks/ticksPerSecond, ticks%ticksPerSecond
	y, mo, d := civil(secs / 86400)
	s := secs % 86400
	b = append(b, '"')
	b = pad(b, int64(y), 4)
	b = append(b, '-')
	b = pad(b, int64(mo), 2)
	b = append(b, '-')
	b = pad(b, int64(d), 2)
	b = append(b, 'T')
	b = pad(b, s/3600, 2)
	b = append(b, ':')
	b = pad(b, s/60%60, 2)
	b = append(b, ':')
	b = pad(b, s%60, 2)
	if frac != 0 {
		b = append(b, '.')
		b = pad(b, frac, 7)
	}
	return append(b, 'Z', '"')
}

// civil turns days since 0001-01-01 into a date (proleptic Gregorian).
func civil(days int64) (year, month, day int) {
	const d400, d100, d4, d1 = 146097, 36524, 1461, 365
	n400 := days / d400
	days %= d400
	n100 := min(days/d100, 3)
	days -= n100 * d100
	n4 := days / d4
	days %= d4
	n1 := min(days/d1, 3)
	days -= n1 * d1
	year = int(n400*400 + n100*100 + n4*4 + n1 + 1)
	leap := year%4 == 0 && (year%100 != 0 || year%400 == 0)
	lengths := [...]int64{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
	if leap {
		lengths[1] = 29
	}
	for month = 0; days >= lengths[month]; month++ {
		days -= lengths[month]
	}
	return year, month + 1, int(days) + 1
}

func pad(b []byte, v int64, width int) []byte {
	s := strconv.FormatInt(v, 10)
	for range width - len(s) {
		b = append(b, '0')
	}
	return append(b, s...)
}

// appendTimespan writes ticks in .NET's constant format [-][d.]hh:mm:ss[.fffffff].
func appendTimespan(b []byte, ticks int64) []byte {
	b = append(b, '"')
	u := uint64(ticks)
	if ticks < 0 {
		b = append(b, '-')
		u = -u
	}
	secs, frac := u/ticksPerSecond, u%ticksPerSecond
	if days := secs / 86400; days > 0 {
		b = strconv.AppendUint(b, days, 10)
		b = append(b, '.')
	}
	b = pad(b, int64(secs/3600%24), 2)
	b = append(b, ':')
	b = pad(b, int64(secs/60%60), 2)
	b = append(b, ':')
	b = pad(b, int64(secs%60), 2)
	if frac != 0 {
		b = append(b, '.')
		b = pad(b, int64(frac), 7)
	}
	return append(b, '"')
}

// appendString writes a JSON string without escaping HTML characters.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 { // not UTF-8: the replacement character
				b = append(b, s[start:i]...)
				b = append(b, "\ufffd"...)
				i++
				start = i
				continue
			}
			i += n
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// appendDynamic writes stored JSON text as JSON, on one line: a frame never
// contains a raw newline. Text that is not JSON becomes a JSON string.
func appendDynamic(b []byte, text string) []byte {
	if text == "" {
		return append(b, "null"...)
	}
	text = strings.ToValidUTF8(text, "\ufffd")
	if !json.Valid([]byte(text)) {
		return appendString(b, text)
	}
	return append(b, singleLine(text)...)
}

// singleLine replaces raw line breaks, which may stand between JSON tokens only.
func singleLine(text string) string {
	if !strings.ContainsAny(text, "\r\n") {
		return text
	}
	return strings.NewReplacer("\r", " ", "\n", " ").Replace(text)
}

// appendDecimal writes a decimal as a string without trailing zeros.
func appendDecimal(b []byte, text string) []byte {
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if text == "-0" {
		text = "0"
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}

// netType is the bare .NET name of v1 responses ("Int64").
func netType(t types.Type) string {
	name := t.NetName()
	return name[strings.LastIndexByte(name, '.')+1:]
}
