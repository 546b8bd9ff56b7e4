package relaxed

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kustos-io/kustos/internal/arm/template/value"
)

func (p *parser) quoted() (string, error) {
	quote := p.text[p.at]
	p.advance()
	start := p.at
	var b strings.Builder
	for p.at < len(p.text) {
		switch c := p.text[p.at]; c {
		case quote:
			b.WriteString(p.text[start:p.at])
			p.advance()
			return strings.ToValidUTF8(b.String(), "\ufffd"), nil
		case '\\':
			b.WriteString(p.text[start:p.at])
			p.advance()
			if err := p.escape(&b); err != nil {
				return "", err
			}
			start = p.at
		default:
			p.advance()
		}
	}
	return "", p.fail("Unterminated string. Expected delimiter: %c.", quote)
}

func (p *parser) escape(b *strings.Builder) error {
	if p.at >= len(p.text) {
		return p.fail("Unterminated string. Expected delimiter.")
	}
	switch c := p.advance(); c {
	case 'b':
		b.WriteByte('\b')
	case 't':
		b.WriteByte('\t')
	case 'n':
		b.WriteByte('\n')
	case 'f':
		b.WriteByte('\f')
	case 'r':
		b.WriteByte('\r')
	case '\\', '"', '\'', '/':
		b.WriteRune(c)
	case 'u':
		r, err := p.unit()
		if err != nil {
			return err
		}
		if r >= 0xd800 && r < 0xdc00 && strings.HasPrefix(p.text[p.at:], `\u`) {
			at := p.at
			p.at += 2
			low, err := p.unit()
			if err != nil {
				return err
			}
			if low >= 0xdc00 && low < 0xe000 {
				r = (r-0xd800)<<10 + (low - 0xdc00) + 0x10000
			} else { // a lone surrogate, then something else
				p.at = at
			}
		}
		b.WriteRune(r)
	default:
		return p.fail("Bad JSON escape sequence: \\%c.", c)
	}
	return nil
}

func (p *parser) unit() (rune, error) {
	if p.at+4 > len(p.text) {
		return 0, p.fail("Unexpected end while parsing Unicode escape sequence.")
	}
	n, err := strconv.ParseUint(p.text[p.at:p.at+4], 16, 16)
	if err != nil {
		return 0, p.fail("Invalid Unicode escape sequence: \\u%s.", strings.ToValidUTF8(p.text[p.at:p.at+4], "?"))
	}
	p.at += 4
	return rune(n), nil
}

func (p *parser) number() (*Node, error) {
	start := p.at
	for p.at < len(p.text) {
		c := p.text[p.at]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' || c == '+' || c == '-' || c == '.' || c == 'x' || c == 'X' || c == 'I' || c == 'n' || c == 'i' || c == 't' || c == 'y') {
			break
		}
		p.at++
	}
	text := p.text[start:p.at]
	n := p.here(Scalar)
	v, ok := number(text)
	if !ok {
		return nil, p.fail("Input string '%s' is not a valid number.", text)
	}
	n.Scalar = v
	return n, nil
}

// number reads decimal, 0x and 0-octal integers, and floating-point numbers.
func number(text string) (value.Value, bool) {
	digits := strings.TrimPrefix(text, "-")
	if len(digits) > 1 && digits[0] == '0' && !strings.ContainsAny(digits, ".eE") || strings.HasPrefix(digits, "0x") || strings.HasPrefix(digits, "0X") {
		base, body := 8, digits[1:]
		if body[0] == 'x' || body[0] == 'X' {
			base, body = 16, body[1:]
		}
		n, err := strconv.ParseInt(body, base, 64)
		return n, err == nil && digits == text
	}
	if digits == "Infinity" {
		return math.Inf(-1), text != digits
	}
	if strings.Trim(digits, "0123456789") == "" && digits != "" {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, true
		}
		if len(digits) > 380 { // more digits than the service's reader takes
			return nil, false
		}
		n, ok := new(big.Int).SetString(text, 10)
		return n, ok
	}
	if strings.ContainsAny(digits, "xXpPiInty_") || digits == "" || digits == "." {
		return nil, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}

func (p *parser) word() (*Node, error) {
	start := p.at
	for p.at < len(p.text) {
		r, _ := utf8.DecodeRuneInString(p.text[p.at:])
		if !nameRune(r) {
			break
		}
		p.advance()
	}
	n := p.here(Scalar)
	switch word := p.text[start:p.at]; word {
	case "true":
		n.Scalar = true
	case "false":
		n.Scalar = false
	case "null", "undefined":
		n.Scalar = nil
	case "NaN":
		n.Scalar = math.NaN()
	case "Infinity":
		n.Scalar = math.Inf(1)
	default:
		r, _ := utf8.DecodeRuneInString(p.text[start:])
		return nil, p.fail("Unexpected character encountered while parsing value: %c.", r)
	}
	return n, nil
}
