package eval

import (
	"math/big"
	"strings"
)

// pictureToken is one element of a custom numeric format such as "#,##0.00 'kg'".
type pictureToken struct {
	kind byte // '0', '#', '.', 'e' (an exponent) or 'l' (literal text)
	text string
	// of an exponent: how it is written, and whether a plus sign shows
	letter byte
	plus   bool
	zeros  int
}

// picture is a section of a custom numeric format, read.
type picture struct {
	tokens []pictureToken
	// digit placeholders before and after the decimal point
	before, after int
	// leastBefore and leastAfter of them show even when they are zero
	leastBefore, leastAfter int
	grouped                 bool
	scale                   *big.Rat // what the number is multiplied with
	exponent                bool
}

// customNumber applies a custom numeric format: digit placeholders, a decimal
// point, group commas, scaling, percent, an exponent, literal text, and
// sections for negative numbers and zero.
func customNumber(r *big.Rat, spec string) (out, why string) {
	sections := splitSections(spec)
	pick := func(sign int) (string, bool) {
		switch {
		case sign < 0 && len(sections) > 1 && sections[1] != "":
			return sections[1], false
		case sign == 0 && len(sections) > 2 && sections[2] != "":
			return sections[2], false
		}
		return sections[0], sign < 0
	}
	section, minus := pick(r.Sign())
	p := readPicture(section)
	whole, frac, exp := p.digits(r)
	if strings.Trim(whole+frac, "0") == "" && r.Sign() != 0 { // it rounds to zero
		section, minus = pick(0)
		p = readPicture(section)
		whole, frac, exp = p.digits(new(big.Rat))
	}
	text := p.write(whole, frac, exp)
	if minus {
		text = "-" + text
	}
	return text, ""
}

// splitSections cuts at the semicolons outside quotes.
func splitSections(spec string) []string {
	var out []string
	start := 0
	var quote byte
	for i := 0; i < len(spec); i++ {
		switch ch := spec[i]; {
		case quote != 0:
			if ch == quote {
				quote = 0
			}
		case ch == '\\':
			i++
		case ch == '\'' || ch == '"':
			quote = ch
		case ch == ';':
			out = append(out, spec[start:i])
			start = i + 1
		}
	}
	return append(out, spec[start:])
}

func readPicture(section string) *picture {
	p := &picture{scale: big.NewRat(1, 1)}
	literal := func(s string) {
		if n := len(p.tokens); n > 0 && p.tokens[n-1].kind == 'l' {
			p.tokens[n-1].text += s
			return
		}
		p.tokens = append(p.tokens, pictureToken{kind: 'l', text: s})
	}
	point, commas, firstZero := false, 0, -1
	thousand := big.NewRat(1, 1000)
	scaleCommas := func() { // commas right before the point, or at the end, divide
		for range commas {
			p.scale.Mul(p.scale, thousand)
		}
		commas = 0
	}
	for i := 0; i < len(section); i++ {
		switch ch := section[i]; ch {
		case '0', '#':
			if !point {
				p.grouped = p.grouped || commas > 0
				commas = 0
				if ch == '0' && firstZero < 0 {
					firstZero = p.before
				}
				p.before++
			} else {
				p.after++
				if ch == '0' {
					p.leastAfter = p.after
				}
			}
			p.tokens = append(p.tokens, pictureToken{kind: ch})
		case '.':
			if !point {
				point = true
				scaleCommas()
				p.tokens = append(p.tokens, pictureToken{kind: '.'})
			}
		case ',':
			if p.before > 0 && !point {
				commas++
			}
		case '%':
			p.scale.Mul(p.scale, big.NewRat(100, 1))
			literal("%")
		case '\\':
			if i+1 < len(section) {
				i++
				literal(section[i : i+1])
			}
		case '\'', '"':
			end := strings.IndexByte(section[i+1:], ch)
			if end < 0 {
				literal(section[i+1:])
				i = len(section)
				break
			}
			literal(section[i+1 : i+1+end])
			i += end + 1
		case 'E', 'e':
			if t, n := readExponent(section[i:]); n > 0 {
				p.exponent = true
				p.tokens = append(p.tokens, t)
				i += n - 1
				break
			}
			literal(string(ch))
		default:
			if rest, ok := strings.CutPrefix(section[i:], "‰"); ok {
				p.scale.Mul(p.scale, big.NewRat(1000, 1))
				literal("‰")
				i = len(section) - len(rest) - 1
				break
			}
			literal(section[i : i+1])
		}
	}
	if !point {
		scaleCommas()
	}
	if firstZero >= 0 {
		p.leastBefore = p.before - firstZero
	}
	return p
}

// readExponent reads E0, E+0 or E-0 with any number of zeros; n is its length.
func readExponent(s string) (t pictureToken, n int) {
	t = pictureToken{kind: 'e', letter: s[0]}
	n = 1
	if n < len(s) && (s[n] == '+' || s[n] == '-') {
		t.plus = s[n] == '+'
		n++
	}
	for n < len(s) && s[n] == '0' {
		t.zeros++
		n++
	}
	if t.zeros == 0 {
		return t, 0
	}
	return t, n
}

// digits are the number's digits before and after the point as the picture
// rounds them: whole without leading zeros, frac without trailing ones it does
// not ask for.
func (p *picture) digits(r *big.Rat) (whole, frac string, exp int) {
	abs := new(big.Rat).Abs(r)
	abs.Mul(abs, p.scale)
	if p.exponent && abs.Sign() != 0 {
		exp = p.shift(abs)
	}
	whole, frac, _ = strings.Cut(abs.FloatString(p.after), ".")
	whole = strings.TrimLeft(whole, "0")
	for len(frac) > p.leastAfter && frac[len(frac)-1] == '0' {
		frac = frac[:len(frac)-1]
	}
	return whole, frac, exp
}

// shift moves the point so that as many digits stand before it as there are
// placeholders, and returns the exponent that makes up for it.
func (p *picture) shift(abs *big.Rat) int {
	ten := big.NewRat(10, 1)
	low, high := big.NewRat(1, 10), big.NewRat(1, 1)
	for range p.before {
		low.Mul(low, ten)
		high.Mul(high, ten)
	}
	exp := 0
	for abs.Cmp(high) >= 0 {
		abs.Quo(abs, ten)
		exp++
	}
	for abs.Cmp(low) < 0 {
		abs.Mul(abs, ten)
		exp--
	}
	if text, _, _ := strings.Cut(abs.FloatString(p.after), "."); p.before > 0 && len(text) > p.before { // 9.99 rounded up
		abs.Quo(abs, ten)
		exp++
	}
	return exp
}

func (p *picture) write(whole, frac string, exp int) string {
	var b strings.Builder
	left := p.before // placeholders still to come before the point
	point := false
	digit := func(d byte, after int) { // after digits follow before the point
		b.WriteByte(d)
		if p.grouped && after > 0 && after%3 == 0 {
			b.WriteByte(',')
		}
	}
	surplus := func() { // digits that no placeholder stands for come with the first one
		for len(whole) > left {
			digit(whole[0], len(whole)-1)
			whole = whole[1:]
		}
	}
	for _, t := range p.tokens {
		switch t.kind {
		case 'l':
			b.WriteString(t.text)
		case 'e':
			b.WriteByte(t.letter)
			n := exp
			if n < 0 {
				b.WriteByte('-')
				n = -n
			} else if t.plus {
				b.WriteByte('+')
			}
			s := big.NewInt(int64(n)).String()
			b.WriteString(strings.Repeat("0", max(0, t.zeros-len(s))) + s)
		case '.':
			surplus()
			point = true
			if frac != "" {
				b.WriteByte('.')
			}
		default:
			switch {
			case point && frac != "":
				b.WriteByte(frac[0])
				frac = frac[1:]
			case point:
			case len(whole) >= left:
				surplus()
				left--
				digit(whole[0], left)
				whole = whole[1:]
			default:
				if left <= p.leastBefore {
					digit('0', left-1)
				}
				left--
			}
		}
	}
	return b.String()
}
