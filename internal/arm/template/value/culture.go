package value

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// CompareText orders strings as the .NET invariant culture does: first without
// regard to case, digits before letters and punctuation before both; when only
// case differs, lower case comes first. Beyond Latin letters the order is that
// of the code points, folded.
func CompareText(a, b string) int {
	if a == b {
		return 0
	}
	if c := comparePrimary(a, b); c != 0 {
		return c
	}
	if c := compareAccents(a, b); c != 0 {
		return c
	}
	if c := compareCase(a, b); c != 0 {
		return c
	}
	return strings.Compare(a, b) // only weightless characters differ
}

// classes of characters in ascending order.
const (
	classSpace = iota
	classPunctuation
	classSymbol
	classDigit
	classLetter
)

// punctuation lists ASCII punctuation and symbols in the culture's order.
const punctuation = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$"

type weight struct {
	class, order int
}

func primary(r rune) (weight, bool) {
	switch {
	case r == 0:
		return weight{}, false
	case unicode.IsSpace(r):
		return weight{classSpace, int(r)}, true
	case r < utf8.RuneSelf && strings.ContainsRune(punctuation, r):
		return weight{classPunctuation, strings.IndexRune(punctuation, r)}, true
	case unicode.IsDigit(r):
		return weight{classDigit, int(r)}, true
	case unicode.IsLetter(r):
		return weight{classLetter, int(unicode.ToLower(base(r)))}, true
	case unicode.Is(unicode.Mn, r):
		return weight{}, false
	}
	return weight{classSymbol, int(r)}, true
}

// base strips the accent of the Latin letters of Latin-1, which sort with the
// plain letter at the first level.
func base(r rune) rune {
	switch {
	case r >= 'À' && r <= 'Å', r >= 'à' && r <= 'å':
		return 'a'
	case r == 'Ç' || r == 'ç':
		return 'c'
	case r >= 'È' && r <= 'Ë', r >= 'è' && r <= 'ë':
		return 'e'
	case r >= 'Ì' && r <= 'Ï', r >= 'ì' && r <= 'ï':
		return 'i'
	case r == 'Ñ' || r == 'ñ':
		return 'n'
	case r >= 'Ò' && r <= 'Ö', r >= 'ò' && r <= 'ö':
		return 'o'
	case r >= 'Ù' && r <= 'Ü', r >= 'ù' && r <= 'ü':
		return 'u'
	case r == 'Ý' || r == 'ý' || r == 'ÿ':
		return 'y'
	}
	return r
}

// next cuts the first weighty character off s.
func next(s string) (r rune, w weight, rest string, ok bool) {
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		if w, ok := primary(r); ok {
			return r, w, s, true
		}
	}
	return 0, weight{}, "", false
}

func comparePrimary(a, b string) int {
	for {
		_, wa, resta, oka := next(a)
		_, wb, restb, okb := next(b)
		switch {
		case !oka && !okb:
			return 0
		case !oka:
			return -1
		case !okb:
			return 1
		case wa.class != wb.class:
			return sign(wa.class - wb.class)
		case wa.order != wb.order:
			return sign(wa.order - wb.order)
		}
		a, b = resta, restb
	}
}

func compareAccents(a, b string) int {
	for {
		ra, _, resta, oka := next(a)
		rb, _, restb, okb := next(b)
		if !oka || !okb {
			return 0
		}
		if c := int(unicode.ToLower(ra)) - int(unicode.ToLower(rb)); c != 0 {
			return sign(c)
		}
		a, b = resta, restb
	}
}

func compareCase(a, b string) int {
	for {
		ra, _, resta, oka := next(a)
		rb, _, restb, okb := next(b)
		if !oka || !okb {
			return 0
		}
		if ra != rb {
			if unicode.IsLower(ra) {
				return -1
			}
			return 1
		}
		a, b = resta, restb
	}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}
