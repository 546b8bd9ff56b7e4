package expr

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind of a token, named as the service names it in its errors.
type kind string

const (
	kindIdent  kind = "Identifier"
	kindText   kind = "StringLiteral"
	kindInt    kind = "Integer"
	kindOpen   kind = "LeftParenthesis"
	kindClose  kind = "RightParenthesis"
	kindOpenI  kind = "LeftSquareBracket"
	kindCloseI kind = "RightSquareBracket"
	kindDot    kind = "Dot"
	kindComma  kind = "Comma"
	kindEnd    kind = "EndOfData"
)

type token struct {
	kind kind
	text string // identifier, or the string constant without quotes
	num  int64
	at   int // offset in bytes
}

func identStart(r rune) bool { return r == '_' || r == '$' || unicode.IsLetter(r) }
func identPart(r rune) bool  { return identStart(r) || unicode.IsDigit(r) }

func isIdent(s string) bool {
	for i, r := range s {
		if i == 0 && !identStart(r) || !identPart(r) || r == utf8.RuneError {
			return false
		}
	}
	return s != ""
}

type lexer struct {
	text string
	at   int
}

// position is the offset in characters, which is what errors print.
func (l *lexer) position(at int) int { return utf8.RuneCountInString(l.text[:at]) }

func (l *lexer) next() (token, error) {
	for l.at < len(l.text) {
		r, size := utf8.DecodeRuneInString(l.text[l.at:])
		if !unicode.IsSpace(r) {
			break
		}
		l.at += size
	}
	start := l.at
	if start >= len(l.text) {
		return token{kind: kindEnd, at: start}, nil
	}
	single := map[byte]kind{'(': kindOpen, ')': kindClose, '[': kindOpenI, ']': kindCloseI, '.': kindDot, ',': kindComma}
	c := l.text[start]
	switch k, ok := single[c]; {
	case ok:
		l.at++
		return token{kind: k, at: start}, nil
	case c == '\'':
		return l.quoted()
	case c >= '0' && c <= '9' || c == '-' || c == '+':
		return l.number()
	}
	r, _ := utf8.DecodeRuneInString(l.text[start:])
	if !identStart(r) || r == utf8.RuneError {
		return token{}, &Error{Text: l.text, At: l.position(start), Unexpected: string(r)}
	}
	for l.at < len(l.text) {
		r, size := utf8.DecodeRuneInString(l.text[l.at:])
		if !identPart(r) || r == utf8.RuneError {
			break
		}
		l.at += size
	}
	return token{kind: kindIdent, text: l.text[start:l.at], at: start}, nil
}

func (l *lexer) quoted() (token, error) {
	start := l.at
	l.at++
	var b strings.Builder
	for {
		i := strings.IndexByte(l.text[l.at:], '\'')
		if i < 0 {
			return token{}, &Error{Text: l.text, At: l.position(start), Unterminated: true}
		}
		b.WriteString(l.text[l.at : l.at+i])
		l.at += i + 1
		if l.at >= len(l.text) || l.text[l.at] != '\'' {
			return token{kind: kindText, text: b.String(), at: start}, nil
		}
		b.WriteByte('\'')
		l.at++
	}
}

func (l *lexer) number() (token, error) {
	start := l.at
	l.at++
	for l.at < len(l.text) && l.text[l.at] >= '0' && l.text[l.at] <= '9' {
		l.at++
	}
	digits := l.text[start:l.at]
	if digits == "-" || digits == "+" {
		return token{}, &Error{Text: l.text, At: l.position(start), Unexpected: digits}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return token{}, &Error{Text: l.text, At: l.position(start), Number: digits}
	}
	return token{kind: kindInt, num: n, at: start}, nil
}
