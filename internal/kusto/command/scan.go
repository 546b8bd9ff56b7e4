package command

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error is a syntax error with its byte offset in the text.
type Error struct {
	Offset  int
	Message string
}

func (e *Error) Error() string { return e.Message }

// scanner reads words, names, strings and marks. It never looks at what
// follows "<|", which is data or a query.
type scanner struct {
	text string
	pos  int
}

func (s *scanner) fail(format string, args ...any) error {
	return &Error{Offset: s.pos, Message: fmt.Sprintf(format, args...)}
}

// space skips blanks and comments.
func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			s.pos++
		case strings.HasPrefix(s.text[s.pos:], "//"):
			if i := strings.IndexByte(s.text[s.pos:], '\n'); i >= 0 {
				s.pos += i
			} else {
				s.pos = len(s.text)
			}
		default:
			return
		}
	}
}

func (s *scanner) end() bool {
	s.space()
	return s.pos == len(s.text)
}

func isWord(r rune) bool {
	return r == '_' || r == '-' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

// peek is the next word in lower case, or the next mark, without taking it.
func (s *scanner) peek() string {
	save := s.pos
	defer func() { s.pos = save }()
	s.space()
	if w := s.run(); w != "" {
		return strings.ToLower(w)
	}
	if strings.HasPrefix(s.text[s.pos:], "<|") {
		return "<|"
	}
	if s.pos < len(s.text) {
		return s.text[s.pos : s.pos+1]
	}
	return ""
}

// run takes a run of word characters.
func (s *scanner) run() string {
	start := s.pos
	for s.pos < len(s.text) {
		r, n := utf8.DecodeRuneInString(s.text[s.pos:])
		if !isWord(r) {
			break
		}
		s.pos += n
	}
	return s.text[start:s.pos]
}

// accept takes the words or marks if all of them follow, in any case.
func (s *scanner) accept(words ...string) bool {
	save := s.pos
	for _, w := range words {
		if s.peek() != w {
			s.pos = save
			return false
		}
		s.space()
		s.pos += len(w)
	}
	return true
}

func (s *scanner) expect(words ...string) error {
	for _, w := range words {
		if !s.accept(w) {
			return s.fail("'%s' is expected", w)
		}
	}
	return nil
}

// name takes an entity name: a bare word, ['quoted'] or ["quoted"]. Dots and
// blanks need quotes; a path a.b takes its last part when qualified is true.
func (s *scanner) name(what string) (string, error) {
	s.space()
	if s.pos < len(s.text) && s.text[s.pos] == '[' {
		s.pos++
		text, err := s.str()
		if err != nil {
			return "", err
		}
		if !s.accept("]") {
			return "", s.fail("']' is expected")
		}
		return text, nil
	}
	if s.pos < len(s.text) && (s.text[s.pos] == '\'' || s.text[s.pos] == '"') {
		return s.str()
	}
	w := s.run()
	if w == "" {
		return "", s.fail("the name of a %s is expected", what)
	}
	return w, nil
}

// str takes one string literal: '…', "…", @'…', h'…' or ```…```. Adjacent
// literals are joined, as in queries.
func (s *scanner) str() (string, error) {
	var out strings.Builder
	for n := 0; ; n++ {
		s.space()
		rest := s.text[s.pos:]
		switch {
		case strings.HasPrefix(rest, "```"):
			end := strings.Index(rest[3:], "```")
			if end < 0 {
				return "", s.fail("the string literal is not terminated")
			}
			out.WriteString(rest[3 : 3+end])
			s.pos += end + 6
		case rest != "" && (rest[0] == '\'' || rest[0] == '"'):
			if err := s.quoted(&out, false); err != nil {
				return "", err
			}
		case len(rest) > 1 && strings.ContainsRune("@hH", rune(rest[0])) && (rest[1] == '\'' || rest[1] == '"'):
			s.pos++
			if err := s.quoted(&out, rest[0] == '@'); err != nil {
				return "", err
			}
		case n > 0:
			return out.String(), nil
		default:
			return "", s.fail("a string literal is expected")
		}
	}
}

func (s *scanner) quoted(out *strings.Builder, verbatim bool) error {
	start := s.pos
	q := s.text[s.pos]
	for s.pos++; s.pos < len(s.text); s.pos++ {
		c := s.text[s.pos]
		switch {
		case c == q && verbatim && s.pos+1 < len(s.text) && s.text[s.pos+1] == q:
			out.WriteByte(q)
			s.pos++
		case c == q:
			s.pos++
			return nil
		case c == '\\' && !verbatim && s.pos+1 < len(s.text):
			s.pos++
			switch e := s.text[s.pos]; e {
			case 'n':
				out.WriteByte('\n')
			case 't':
				out.WriteByte('\t')
			case 'r':
				out.WriteByte('\r')
			default:
				out.WriteByte(e)
			}
		default:
			out.WriteByte(c)
		}
	}
	s.pos = start
	return s.fail("the string literal is not terminated")
}

// value takes a property's value: a string, or a bare word or number.
func (s *scanner) value() (string, error) {
	s.space()
	if s.pos < len(s.text) && strings.IndexByte("'\"`@hH", s.text[s.pos]) >= 0 {
		save := s.pos
		if v, err := s.str(); err == nil {
			return v, nil
		}
		s.pos = save
	}
	start := s.pos
	for s.pos < len(s.text) && strings.IndexByte(",)", s.text[s.pos]) < 0 {
		s.pos++
	}
	v := strings.TrimSpace(s.text[start:s.pos])
	if v == "" {
		return "", s.fail("a value is expected")
	}
	return v, nil
}

// properties takes [with] (name = value, …), names in lower case; nil when
// there is none.
func (s *scanner) properties() (map[string]string, error) {
	if !s.accept("with") {
		return nil, nil
	}
	if err := s.expect("("); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for !s.accept(")") {
		name, err := s.name("property")
		if err != nil {
			return nil, err
		}
		if err := s.expect("="); err != nil {
			return nil, err
		}
		v, err := s.value()
		if err != nil {
			return nil, err
		}
		out[strings.ToLower(name)] = v
		if !s.accept(",") && s.peek() != ")" {
			return nil, s.fail("',' or ')' is expected")
		}
	}
	return out, nil
}
