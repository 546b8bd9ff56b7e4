package eval

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// text16 is a string seen as UTF-16 code units, in which the service counts.
type text16 struct {
	plain string   // set when every character is ASCII
	wide  []uint16 // set otherwise
}

func units(s string) text16 {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return text16{wide: utf16.Encode([]rune(s))}
		}
	}
	return text16{plain: s}
}

func (t text16) len() int64 {
	if t.wide != nil {
		return int64(len(t.wide))
	}
	return int64(len(t.plain))
}

func (t text16) slice(from, to int64) string {
	if t.wide != nil {
		return string(utf16.Decode(t.wide[from:to]))
	}
	return t.plain[from:to]
}

// toLower and toUpper follow the invariant culture: like Unicode's simple
// mapping, but the dotted and dotless i and the long s stay as they are.
func toLower(s string) string {
	return strings.Map(func(r rune) rune {
		if r == 'İ' {
			return r
		}
		return unicode.ToLower(r)
	}, s)
}

func toUpper(s string) string {
	return strings.Map(func(r rune) rune {
		if r == 'ı' || r == 'ſ' {
			return r
		}
		return unicode.ToUpper(r)
	}, s)
}
