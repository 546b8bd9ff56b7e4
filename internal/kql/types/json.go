package types

import (
	"math"
	"strconv"
	"strings"
)

// FormatReal writes a real as the language's text conversion does: the shortest digits that read back to the same
// value, no fraction for whole numbers, and an exponent (1E+15, 1E-05) outside 1e-5 < |x| < 1e15.
func FormatReal(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case f == 0:
		return "0"
	}
	if a := math.Abs(f); a >= 1e15 || a < 1e-4 {
		s := strconv.FormatFloat(f, 'E', -1, 64)
		m, e, _ := strings.Cut(s, "E")
		return m + "E" + e
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// JSONReal writes a real as a member of a dynamic value; whole numbers keep a fraction so that they stay reals.
func JSONReal(f float64) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return `"` + FormatReal(f) + `"`
	}
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}
