package eval

import (
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// format is .NET composite formatting in the invariant culture:
// {index[,alignment][:spec]}, {{ and }}.
func format(c *call, args []value.Value) (value.Value, error) {
	f, ok := args[0].(string)
	if !ok {
		return nil, wrongArgument(c.name, 0, "String", args[0])
	}
	bad := func(why string) error {
		return Errorf("Unable to evaluate language function '%s': the format is invalid: '%s'. %s", c.name, why, see(c.name))
	}
	var b strings.Builder
	for i := 0; i < len(f); {
		switch ch := f[i]; {
		case ch == '{' && i+1 < len(f) && f[i+1] == '{', ch == '}' && i+1 < len(f) && f[i+1] == '}':
			b.WriteByte(ch)
			i += 2
		case ch == '}':
			return nil, bad("Input string was not in a correct format.")
		case ch == '{':
			end := strings.IndexByte(f[i:], '}')
			if end < 0 {
				return nil, bad("Input string was not in a correct format.")
			}
			text, why := item(f[i+1:i+end], args[1:])
			if why != "" {
				return nil, bad(why)
			}
			b.WriteString(text)
			i += end + 1
		default:
			b.WriteByte(ch)
			i++
		}
		if err := tooLong(c, b.Len()); err != nil {
			return nil, err
		}
	}
	return b.String(), nil
}

// item renders one format item; why is set when it cannot.
func item(text string, args []value.Value) (out, why string) {
	head, spec, _ := strings.Cut(text, ":")
	num, align, aligned := strings.Cut(head, ",")
	n, err := strconv.Atoi(strings.TrimSpace(num))
	if err != nil || n < 0 {
		return "", "Input string was not in a correct format."
	}
	if n >= len(args) {
		return "", "Index (zero based) must be greater than or equal to zero and less than the size of the argument list."
	}
	if out, why = formatValue(args[n], spec); why != "" {
		return "", why
	}
	if !aligned {
		return out, ""
	}
	width, err := strconv.Atoi(strings.TrimSpace(align))
	if err != nil || width > 1e6 || width < -1e6 {
		return "", "Input string was not in a correct format."
	}
	if pad := max(width, -width) - int(units(out).len()); pad > 0 {
		if width < 0 {
			return out + strings.Repeat(" ", pad), ""
		}
		return strings.Repeat(" ", pad) + out, ""
	}
	return out, ""
}

func formatValue(v value.Value, spec string) (out, why string) {
	if spec == "" {
		return Render(v), ""
	}
	switch v := v.(type) {
	case int64:
		return formatNumber(new(big.Rat).SetInt64(v), true, spec)
	case *big.Int:
		return formatNumber(new(big.Rat).SetInt(v), true, spec)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return value.FormatFloat(v), ""
		}
		return formatNumber(new(big.Rat).SetFloat64(v), false, spec)
	}
	return Render(v), "" // strings and booleans ignore a format
}

// formatNumber applies a standard (N0, D3, X4, F2, P1, E3, C, G) or custom
// (#,##0.00) numeric format.
func formatNumber(r *big.Rat, whole bool, spec string) (out, why string) {
	letter := spec[0]
	digits, precision := spec[1:], -1
	standard := letter >= 'a' && letter <= 'z' || letter >= 'A' && letter <= 'Z'
	if standard && digits != "" {
		n, err := strconv.Atoi(digits)
		if standard = err == nil && n >= 0 && n <= 999; standard {
			precision = n
		}
	}
	if !standard {
		return customNumber(r, spec)
	}
	neg := r.Sign() < 0
	abs := new(big.Rat).Abs(r)
	orDefault := func(n int) int {
		if precision < 0 {
			return n
		}
		return precision
	}
	signed := func(s string) string {
		if neg && strings.Trim(s, "0.,") != "" {
			return "-" + s
		}
		return s
	}
	switch letter {
	case 'D', 'd':
		if !whole {
			return "", "Format specifier was invalid."
		}
		s := abs.Num().String()
		if n := orDefault(0) - len(s); n > 0 {
			s = strings.Repeat("0", n) + s
		}
		return signed(s), ""
	case 'X', 'x':
		if !whole {
			return "", "Format specifier was invalid."
		}
		n := new(big.Int).Set(r.Num())
		if neg { // two's complement of 64 bits
			n.Add(n, new(big.Int).Lsh(big.NewInt(1), 64))
		}
		s := n.Text(16)
		if letter == 'X' {
			s = strings.ToUpper(s)
		}
		if pad := orDefault(0) - len(s); pad > 0 {
			s = strings.Repeat("0", pad) + s
		}
		return s, ""
	case 'N', 'n':
		return signed(group(abs.FloatString(orDefault(2)))), ""
	case 'F', 'f':
		return signed(abs.FloatString(orDefault(2))), ""
	case 'P', 'p':
		return signed(group(new(big.Rat).Mul(abs, big.NewRat(100, 1)).FloatString(orDefault(2)))) + " %", ""
	case 'C', 'c':
		s := "¤" + group(abs.FloatString(orDefault(2)))
		if neg {
			return "(" + s + ")", ""
		}
		return s, ""
	case 'E', 'e':
		f, _ := r.Float64()
		return exponent(strconv.FormatFloat(f, letter, orDefault(6), 64), 3), ""
	case 'G', 'g':
		if precision <= 0 {
			if whole {
				return r.Num().String(), ""
			}
			f, _ := r.Float64()
			return strings.TrimSuffix(value.FormatFloat(f), ".0"), ""
		}
		f, _ := r.Float64()
		return exponent(strconv.FormatFloat(f, letter, precision, 64), 2), ""
	case 'R', 'r':
		if whole {
			return "", "Format specifier was invalid."
		}
		f, _ := r.Float64()
		return strings.TrimSuffix(value.FormatFloat(f), ".0"), ""
	}
	return "", "Format specifier was invalid."
}

// exponent gives the exponent at least n digits.
func exponent(s string, n int) string {
	i := strings.LastIndexAny(s, "eE")
	if i < 0 {
		return s
	}
	digits := s[i+2:]
	for len(digits) < n {
		digits = "0" + digits
	}
	return s[:i+2] + digits
}

// group puts a comma between groups of three digits of the whole part.
func group(s string) string {
	whole, frac, point := strings.Cut(s, ".")
	var b strings.Builder
	for i := range len(whole) {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteByte(whole[i])
	}
	if point {
		b.WriteString("." + frac)
	}
	return b.String()
}
