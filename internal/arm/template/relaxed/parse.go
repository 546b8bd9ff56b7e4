package relaxed

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// MaxDepth is how deep arrays and objects may nest.
const MaxDepth = 256

// Parse reads one JSON document; nothing but blanks and comments may follow it.
func Parse(text []byte) (*Node, error) {
	p := &parser{text: string(text), line: 1}
	p.text = strings.TrimPrefix(p.text, "\ufeff")
	if err := p.blanks(); err != nil {
		return nil, err
	}
	if p.at >= len(p.text) {
		return nil, p.fail("Error reading JObject from JsonReader: the text is empty.")
	}
	n, err := p.node(0)
	if err != nil {
		return nil, err
	}
	if err := p.blanks(); err != nil {
		return nil, err
	}
	if p.at < len(p.text) {
		r, _ := utf8.DecodeRuneInString(p.text[p.at:])
		return nil, p.fail("Additional text encountered after finished reading JSON content: %c.", r)
	}
	return n, nil
}

type parser struct {
	text string
	at   int
	// line counts from 1; lineStart is the offset of its first byte, and wide
	// how many bytes of the line so far were not UTF-16 units of their own.
	line, lineStart, wide int
	path                  []string
}

func (p *parser) column() int { return p.at - p.lineStart - p.wide }

func (p *parser) fail(format string, args ...any) error {
	return &SyntaxError{Line: p.line, Column: p.column(), Path: strings.Join(p.path, ""), Message: fmt.Sprintf(format, args...)}
}

// advance consumes the character at p.at and keeps count of lines and columns.
func (p *parser) advance() rune {
	c := p.text[p.at]
	if c < utf8.RuneSelf {
		p.at++
		if c == '\n' || c == '\r' && !(p.at < len(p.text) && p.text[p.at] == '\n') {
			p.line++
			p.lineStart, p.wide = p.at, 0
		}
		return rune(c)
	}
	r, size := utf8.DecodeRuneInString(p.text[p.at:])
	p.at += size
	units := 1
	if r > 0xffff {
		units = 2
	}
	p.wide += size - units
	return r
}

func (p *parser) blanks() error {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			p.advance()
		case c == '/':
			if err := p.comment(); err != nil {
				return err
			}
		case c >= utf8.RuneSelf:
			r, _ := utf8.DecodeRuneInString(p.text[p.at:])
			if !unicode.IsSpace(r) && r != '\ufeff' {
				return nil
			}
			p.advance()
		default:
			return nil
		}
	}
	return nil
}

func (p *parser) comment() error {
	rest := p.text[p.at:]
	switch {
	case strings.HasPrefix(rest, "//"):
		for p.at < len(p.text) && p.text[p.at] != '\n' && p.text[p.at] != '\r' {
			p.advance()
		}
		return nil
	case strings.HasPrefix(rest, "/*"):
		p.advance()
		p.advance()
		for p.at < len(p.text) {
			if strings.HasPrefix(p.text[p.at:], "*/") {
				p.advance()
				p.advance()
				return nil
			}
			p.advance()
		}
		return p.fail("Unexpected end while parsing comment.")
	}
	return p.fail("Error parsing comment. Expected: *, got %s.", strings.TrimPrefix(rest[:min(2, len(rest))], "/"))
}

func (p *parser) here(kind Kind) *Node { return &Node{Line: p.line, Column: p.column(), Kind: kind} }

func (p *parser) node(depth int) (*Node, error) {
	if depth > MaxDepth {
		return nil, p.fail("The reader's MaxDepth of %d has been exceeded.", MaxDepth)
	}
	switch c := p.text[p.at]; {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"' || c == '\'':
		s, err := p.quoted()
		if err != nil {
			return nil, err
		}
		n := p.here(Scalar)
		n.Scalar = s
		return n, nil
	case c == '-' || c == '.' || c >= '0' && c <= '9':
		return p.number()
	}
	return p.word()
}

func (p *parser) object(depth int) (*Node, error) {
	p.advance()
	n := p.here(Object)
	seen := map[string]int{}
	for {
		if err := p.blanks(); err != nil {
			return nil, err
		}
		if p.at >= len(p.text) {
			return nil, p.fail("Unexpected end of content while loading JObject.")
		}
		if p.text[p.at] == '}' {
			p.advance()
			return n, nil
		}
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		p.push(name)
		if err := p.blanks(); err != nil {
			return nil, err
		}
		if p.at >= len(p.text) || p.text[p.at] != ':' {
			return nil, p.fail("Invalid character after parsing property name. Expected ':' but got: %s.", p.found())
		}
		p.advance()
		if err := p.blanks(); err != nil {
			return nil, err
		}
		if p.at >= len(p.text) {
			return nil, p.fail("Unexpected end of content while loading JObject.")
		}
		child, err := p.node(depth + 1)
		if err != nil {
			return nil, err
		}
		p.pop()
		if i, ok := seen[name]; ok { // the last of equal names wins
			n.Members[i].Node = child
		} else {
			seen[name] = len(n.Members)
			n.Members = append(n.Members, Member{name, child})
		}
		if done, err := p.separator('}'); done || err != nil {
			return n, err
		}
	}
}

func (p *parser) array(depth int) (*Node, error) {
	p.advance()
	n := p.here(Array)
	n.Items = []*Node{}
	for {
		if err := p.blanks(); err != nil {
			return nil, err
		}
		if p.at >= len(p.text) {
			return nil, p.fail("Unexpected end of content while loading JArray.")
		}
		if p.text[p.at] == ']' {
			p.advance()
			return n, nil
		}
		p.path = append(p.path, "["+strconv.Itoa(len(n.Items))+"]")
		child, err := p.node(depth + 1)
		if err != nil {
			return nil, err
		}
		p.pop()
		n.Items = append(n.Items, child)
		if done, err := p.separator(']'); done || err != nil {
			return n, err
		}
	}
}

// separator reads the comma or the closing bracket behind an element.
func (p *parser) separator(closing byte) (done bool, err error) {
	if err := p.blanks(); err != nil {
		return false, err
	}
	if p.at >= len(p.text) {
		return false, p.fail("Unexpected end of content.")
	}
	switch p.text[p.at] {
	case ',':
		p.advance()
		return false, nil
	case closing:
		p.advance()
		return true, nil
	}
	return false, p.fail("After parsing a value an unexpected character was encountered: %s.", p.found())
}

func (p *parser) found() string {
	if p.at >= len(p.text) {
		return "end of content"
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.at:])
	return string(r)
}

func (p *parser) push(name string) {
	simple := name != ""
	for _, r := range name {
		if r == '.' || r == ' ' || r == '\'' || r == '[' || r == ']' || r == '(' || r == ')' || r == '/' || r == '"' {
			simple = false
		}
	}
	switch {
	case !simple:
		p.path = append(p.path, "['"+name+"']")
	case len(p.path) == 0:
		p.path = append(p.path, name)
	default:
		p.path = append(p.path, "."+name)
	}
}

func (p *parser) pop() { p.path = p.path[:len(p.path)-1] }

func nameRune(r rune) bool {
	return r == '_' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

func (p *parser) name() (string, error) {
	if c := p.text[p.at]; c == '"' || c == '\'' {
		return p.quoted()
	}
	start := p.at
	for p.at < len(p.text) {
		r, _ := utf8.DecodeRuneInString(p.text[p.at:])
		if !nameRune(r) {
			break
		}
		p.advance()
	}
	if p.at == start {
		return "", p.fail("Invalid property identifier character: %s.", p.found())
	}
	return p.text[start:p.at], nil
}

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
