package relaxed

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
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
			n.EndLine, n.EndColumn = p.line, p.column()
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
		m := Member{Name: name, Line: p.line, Column: p.column()}
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
		if i, ok := seen[name]; ok { // the last of equal names wins
			n.Members[i].Node = child
		} else {
			seen[name] = len(n.Members)
			m.Node = child
			n.Members = append(n.Members, m)
		}
		done, err := p.separator('}') // what is wrong here is wrong behind this member
		p.pop()
		if done || err != nil {
			n.EndLine, n.EndColumn = p.line, p.column()
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
		n.Items = append(n.Items, child)
		done, err := p.separator(']')
		p.pop()
		if done || err != nil {
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
