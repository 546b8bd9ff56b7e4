package authorization

import "strings"

// condition is one term of a $filter: name() , name('value') or name eq 'value'.
type condition struct {
	name  string // as written
	call  bool
	value string
}

// parseFilter splits a $filter into terms joined by "and"; done is false for
// anything else.
func parseFilter(text string) (terms []condition, done bool) {
	for text = strings.TrimSpace(text); ; {
		var c condition
		end := strings.IndexFunc(text, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
		})
		if end <= 0 {
			return nil, false
		}
		c.name, text = text[:end], strings.TrimLeft(text[end:], " ")
		if rest, isCall := strings.CutPrefix(text, "("); isCall {
			c.call = true
			text = strings.TrimLeft(rest, " ")
			if strings.HasPrefix(text, "'") {
				if c.value, text, done = quoted(text); !done {
					return nil, false
				}
				text = strings.TrimLeft(text, " ")
			}
			if text, done = strings.CutPrefix(text, ")"); !done {
				return nil, false
			}
		} else {
			if text, done = cutWord(text, "eq"); !done {
				return nil, false
			}
			if c.value, text, done = quoted(text); !done {
				return nil, false
			}
		}
		terms = append(terms, c)
		if text = strings.TrimLeft(text, " "); text == "" {
			return terms, true
		}
		if text, done = cutWord(text, "and"); !done {
			return nil, false
		}
	}
}

// cutWord takes a word, without case, and the blanks behind it.
func cutWord(text, word string) (string, bool) {
	if len(text) <= len(word) || !strings.EqualFold(text[:len(word)], word) || text[len(word)] != ' ' {
		return "", false
	}
	return strings.TrimLeft(text[len(word):], " "), true
}

// quoted takes a text in single quotes, in which a quote is doubled.
func quoted(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, "'") {
		return "", "", false
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] != '\'':
			b.WriteByte(text[i])
		case i+1 < len(text) && text[i+1] == '\'':
			b.WriteByte('\'')
			i++
		default:
			return b.String(), text[i+1:], true
		}
	}
	return "", "", false
}

func (c condition) is(name string, call bool) bool {
	return c.call == call && strings.EqualFold(c.name, name)
}
