package token

import (
	"strings"
	"unicode/utf8"

	"github.com/kustos-io/kustos/internal/kql/types"
)

// Lex splits text into tokens, ending in an EOF token. The error, if any, is an *Error.
func Lex(text string) ([]Token, error) {
	tokens, _, err := LexUntil(text, "")
	return tokens, err
}

// LexUntil is Lex that ends at the first delimiter stop, which is not among the tokens; rest is the offset behind it, or
// -1 when the text has none. What follows is not looked at.
func LexUntil(text, stop string) (tokens []Token, rest int, err error) {
	l := lexer{text: text}
	for {
		t, err := l.next()
		if err != nil {
			return nil, -1, err
		}
		t.End = l.pos
		if stop != "" && t.Kind == Punct && t.Text == stop {
			l.tokens = append(l.tokens, Token{Kind: EOF, Pos: t.Pos, End: t.Pos})
			return l.tokens, t.End, nil
		}
		l.tokens = append(l.tokens, t)
		if t.Kind == EOF {
			return l.tokens, -1, nil
		}
	}
}

type lexer struct {
	text   string
	pos    int
	tokens []Token
}

func (l *lexer) fail(pos int, message string) (Token, error) {
	return Token{}, &Error{Pos: pos, Message: message}
}

func (l *lexer) peek(n int) byte {
	if l.pos+n < len(l.text) {
		return l.text[l.pos+n]
	}
	return 0
}

func (l *lexer) blank() {
	for l.pos < len(l.text) {
		switch c := l.text[l.pos]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			l.pos++
		case c == '/' && l.peek(1) == '/':
			if i := strings.IndexByte(l.text[l.pos:], '\n'); i >= 0 {
				l.pos += i
			} else {
				l.pos = len(l.text)
			}
		case strings.HasPrefix(l.text[l.pos:], "\u00a0"):
			l.pos += len("\u00a0")
		case strings.HasPrefix(l.text[l.pos:], "\ufeff"):
			l.pos += len("\ufeff")
		default:
			return
		}
	}
}

func letter(c byte) bool {
	return c == '_' || c == '$' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
func digit(c byte) bool { return c >= '0' && c <= '9' }

var puncts = []string{"<|", "==", "!=", "<>", "<=", ">=", "=~", "!~", "=>", "..", "--", "->", "<-",
	"|", "(", ")", "[", "]", "{", "}", ",", ";", ":", ".", "=", "<", ">", "+", "-", "*", "/", "%", "?", "@", "~", "&", "^", "!"}

func (l *lexer) next() (Token, error) {
	l.blank()
	start := l.pos
	if start >= len(l.text) {
		return Token{Kind: EOF, Pos: start}, nil
	}
	c := l.text[start]
	switch {
	case (c == 'h' || c == 'H') && (l.peek(1) == '"' || l.peek(1) == '\'' || l.peek(1) == '@' && (l.peek(2) == '"' || l.peek(2) == '\'')):
		l.pos++
		t, err := l.str()
		t.Pos, t.Secret = start, true
		return t, err
	case c == '"' || c == '\'' || c == '@' && (l.peek(1) == '"' || l.peek(1) == '\''):
		return l.str()
	case strings.HasPrefix(l.text[start:], "```") || strings.HasPrefix(l.text[start:], "~~~"):
		fence := l.text[start : start+3]
		end := strings.Index(l.text[start+3:], fence)
		if end < 0 {
			return l.fail(start, "the multi-line string literal is not closed")
		}
		l.pos = start + 3 + end + 3
		return Token{Kind: String, Text: l.text[start:l.pos], Value: l.text[start+3 : start+3+end], Pos: start}, nil
	case c == '[' && (l.bracketName()):
		return l.quotedName()
	case letter(c):
		return l.word()
	case digit(c):
		return l.number()
	case c == '.' && digit(l.peek(1)) && !l.afterOperand():
		return l.number()
	case c == '!' && letter(l.peek(1)):
		l.pos++
		for letter(l.peek(0)) || digit(l.peek(0)) {
			l.pos++
		}
		if l.peek(0) == '~' && l.peek(1) != '~' {
			l.pos++
		}
		return Token{Kind: NegWord, Text: l.text[start:l.pos], Pos: start}, nil
	}
	for _, p := range puncts {
		if strings.HasPrefix(l.text[start:], p) {
			l.pos += len(p)
			return Token{Kind: Punct, Text: p, Pos: start}, nil
		}
	}
	r, _ := utf8.DecodeRuneInString(l.text[start:])
	return l.fail(start, "the character '"+string(r)+"' is not understood here")
}

// afterOperand tells whether a '.' here would be member access rather than the start of a number.
func (l *lexer) afterOperand() bool {
	if len(l.tokens) == 0 {
		return false
	}
	t := l.tokens[len(l.tokens)-1]
	switch t.Kind {
	case Ident, Number, String, Typed, Span:
		return true
	case Punct:
		return t.Text == ")" || t.Text == "]" || t.Text == "."
	}
	return false
}

// bracketName looks ahead for ['…'] or ["…"]; after an operand the bracket is an index instead.
func (l *lexer) bracketName() bool {
	if l.afterOperand() && !(len(l.tokens) > 0 && l.tokens[len(l.tokens)-1].Text == ".") {
		// A word such as "project" may stand before a quoted name too; only an adjacent bracket is an index.
		if last := l.tokens[len(l.tokens)-1]; last.End == l.pos || last.Kind != Ident {
			return false
		}
	}
	i := l.pos + 1
	for i < len(l.text) && (l.text[i] == ' ' || l.text[i] == '\t') {
		i++
	}
	if i < len(l.text) && (l.text[i] == '"' || l.text[i] == '\'') {
		q := l.text[i]
		for j := i + 1; j < len(l.text) && l.text[j] != '\n'; j++ {
			if l.text[j] == '\\' {
				j++
				continue
			}
			if l.text[j] == q {
				j++
				for j < len(l.text) && (l.text[j] == ' ' || l.text[j] == '\t') {
					j++
				}
				return j < len(l.text) && l.text[j] == ']'
			}
		}
	}
	return false
}

func (l *lexer) quotedName() (Token, error) {
	start := l.pos
	l.pos++
	l.blank()
	t, err := l.str()
	if err != nil {
		return t, err
	}
	l.blank()
	l.pos++ // the closing bracket that bracketName saw
	return Token{Kind: Ident, Text: l.text[start:l.pos], Value: t.Value, Pos: start, Quoted: true}, nil
}

func (l *lexer) word() (Token, error) {
	start := l.pos
	for l.pos < len(l.text) && (letter(l.text[l.pos]) || digit(l.text[l.pos])) {
		l.pos++
	}
	text := l.text[start:l.pos]
	switch text {
	case "in", "has_any", "has_all":
		if l.peek(0) == '~' {
			l.pos++
			return Token{Kind: NegWord, Text: text + "~", Pos: start}, nil
		}
	}
	if typedWord(text) && !(len(l.tokens) > 0 && l.tokens[len(l.tokens)-1].Text == ".") {
		save := l.pos
		l.blank()
		if l.peek(0) == '(' {
			l.pos++
			raw, ok := l.raw()
			if !ok {
				return l.fail(start, "the literal "+text+"(…) is not closed")
			}
			return Token{Kind: Typed, Text: text, Value: raw, Pos: start}, nil
		}
		l.pos = save
	}
	return Token{Kind: Ident, Text: text, Value: text, Pos: start}, nil
}

func typedWord(w string) bool {
	_, ok := types.Parse(w)
	return ok && w != "string" && w != "uniqueid" && w != "uuid"
}

// raw reads up to the parenthesis that closes the one just consumed, stepping over strings and nested brackets.
func (l *lexer) raw() (string, bool) {
	start, depth := l.pos, 1
	for l.pos < len(l.text) {
		switch c := l.text[l.pos]; c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
			if depth == 0 {
				s := l.text[start:l.pos]
				l.pos++
				return s, c == ')'
			}
		case '"', '\'':
			if l.pos > start && l.text[l.pos-1] == '@' {
				l.pos--
			}
			if _, err := l.str(); err != nil {
				return "", false
			}
			continue
		}
		l.pos++
	}
	return "", false
}

func (l *lexer) number() (Token, error) {
	start := l.pos
	if l.text[start] == '0' && (l.peek(1) == 'x' || l.peek(1) == 'X') {
		l.pos += 2
		for c := l.peek(0); digit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'; c = l.peek(0) {
			l.pos++
		}
		return Token{Kind: Number, Text: l.text[start:l.pos], Pos: start}, nil
	}
	for digit(l.peek(0)) {
		l.pos++
	}
	if l.peek(0) == '.' && l.peek(1) != '.' && (digit(l.peek(1)) || !letter(l.peek(1))) {
		l.pos++
		for digit(l.peek(0)) {
			l.pos++
		}
	}
	if c := l.peek(0); c == 'e' || c == 'E' {
		n := 1
		if s := l.peek(1); s == '+' || s == '-' {
			n = 2
		}
		if digit(l.peek(n)) {
			l.pos += n
			for digit(l.peek(0)) {
				l.pos++
			}
		}
	}
	unit := l.pos
	for letter(l.peek(0)) || digit(l.peek(0)) {
		l.pos++
	}
	if unit == l.pos {
		return Token{Kind: Number, Text: l.text[start:l.pos], Pos: start}, nil
	}
	if _, ok := types.Unit(l.text[unit:l.pos]); ok {
		return Token{Kind: Span, Text: l.text[start:l.pos], Pos: start}, nil
	}
	return l.fail(start, "'"+l.text[start:l.pos]+"' is neither a number nor a timespan")
}

// str reads one string literal in any of the quoted forms.
func (l *lexer) str() (Token, error) {
	start := l.pos
	verbatim := l.text[l.pos] == '@'
	if verbatim {
		l.pos++
	}
	q := l.text[l.pos]
	l.pos++
	var b strings.Builder
	for l.pos < len(l.text) {
		c := l.text[l.pos]
		switch {
		case c == q && verbatim && l.peek(1) == q:
			b.WriteByte(q)
			l.pos += 2
		case c == q:
			l.pos++
			return Token{Kind: String, Text: l.text[start:l.pos], Value: b.String(), Pos: start}, nil
		case c == '\n' && !verbatim:
			return l.fail(start, "the string literal is not closed on its line")
		case c == '\\' && !verbatim:
			if !l.escape(&b) {
				return l.fail(l.pos, "the escape sequence in the string literal is not valid")
			}
		default:
			b.WriteByte(c)
			l.pos++
		}
	}
	return l.fail(start, "the string literal is not closed")
}

func (l *lexer) escape(b *strings.Builder) bool {
	c := l.peek(1)
	l.pos += 2
	switch c {
	case 'n':
		b.WriteByte('\n')
	case 't':
		b.WriteByte('\t')
	case 'r':
		b.WriteByte('\r')
	case 'a':
		b.WriteByte(7)
	case 'b':
		b.WriteByte(8)
	case 'f':
		b.WriteByte(12)
	case 'v':
		b.WriteByte(11)
	case '\\', '\'', '"':
		b.WriteByte(c)
	case 'x':
		return l.hex(b, 2)
	case 'u':
		return l.hex(b, 4)
	case 'U':
		return l.hex(b, 8)
	default:
		if c >= '0' && c <= '7' {
			n := rune(c - '0')
			for i := 0; i < 2 && l.peek(0) >= '0' && l.peek(0) <= '7'; i++ {
				n = n*8 + rune(l.peek(0)-'0')
				l.pos++
			}
			b.WriteRune(n)
			return true
		}
		l.pos -= 2
		return false
	}
	return true
}

func (l *lexer) hex(b *strings.Builder, digits int) bool {
	var r rune
	for range digits {
		c := l.peek(0)
		switch {
		case digit(c):
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return false
		}
		l.pos++
	}
	// Two escapes may spell one character as a surrogate pair.
	if r >= 0xD800 && r < 0xDC00 && l.peek(0) == '\\' && l.peek(1) == 'u' {
		l.pos += 2
		var low strings.Builder
		save := l.pos
		if !l.hex(&low, 4) {
			return false
		}
		var n rune
		for _, c := range strings.ToLower(l.text[save:l.pos]) {
			if c <= '9' {
				n = n<<4 | (c - '0')
			} else {
				n = n<<4 | (c - 'a' + 10)
			}
		}
		r = 0x10000 + (r-0xD800)<<10 + (n - 0xDC00)
	}
	b.WriteRune(r)
	return true
}

// Quote writes a string literal that Lex reads back to the same text.
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
