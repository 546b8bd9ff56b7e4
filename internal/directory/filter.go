package directory

import (
	"fmt"
	"strings"
)

// filter is a parsed OData $filter. The forms are those that clients send:
//
//	property eq 'text'
//	property eq true   property eq false
//	startswith(property,'text')
//	collection/any(x:x eq 'text')
//	…and…   …or…   (…)
type filter interface {
	// matches asks the entity for its properties; text compares without case,
	// as Graph does.
	matches(e filterable) bool
	// properties calls fn with every property used and whether it must be a collection.
	properties(fn func(name string, collection bool))
	// String prints the filter so that it parses to the same.
	String() string
}

// filterable is an entity as a filter sees it.
type filterable interface {
	// property returns the values of a filterable property; collection tells a
	// list from a single text; known is false for a property that is not filterable.
	property(name string) (values []string, collection, known bool)
}

type comparison struct {
	name string
	text string
	bare bool // text is true or false without quotes
	kind comparisonKind
}

type comparisonKind int

const (
	equals comparisonKind = iota
	startsWith
	anyEquals
)

func (c comparison) matches(e filterable) bool {
	values, _, _ := e.property(c.name)
	for _, v := range values {
		if c.kind == startsWith {
			if len(v) >= len(c.text) && strings.EqualFold(v[:len(c.text)], c.text) {
				return true
			}
		} else if strings.EqualFold(v, c.text) {
			return true
		}
	}
	return false
}

func (c comparison) properties(fn func(string, bool)) { fn(c.name, c.kind == anyEquals) }

func (c comparison) String() string {
	text := "'" + strings.ReplaceAll(c.text, "'", "''") + "'"
	if c.bare {
		text = c.text
	}
	switch c.kind {
	case startsWith:
		return "startswith(" + c.name + "," + text + ")"
	case anyEquals:
		return c.name + "/any(c:c eq " + text + ")"
	default:
		return c.name + " eq " + text
	}
}

type junction struct {
	or          bool
	left, right filter
}

func (j junction) matches(e filterable) bool {
	if j.or {
		return j.left.matches(e) || j.right.matches(e)
	}
	return j.left.matches(e) && j.right.matches(e)
}

func (j junction) properties(fn func(string, bool)) {
	j.left.properties(fn)
	j.right.properties(fn)
}

func (j junction) String() string {
	word := " and "
	if j.or {
		word = " or "
	}
	return "(" + j.left.String() + word + j.right.String() + ")"
}

// Bounds on what a stranger may make the parser do.
const (
	maxFilterBytes = 4096
	maxFilterDepth = 32
)

// parseFilter reads a $filter. The error says what was expected and at which
// byte, counted from 0.
func parseFilter(text string) (filter, error) {
	if len(text) > maxFilterBytes {
		return nil, fmt.Errorf("the filter is longer than %d bytes", maxFilterBytes)
	}
	p := &filterParser{text: text}
	p.next()
	f, err := p.disjunction(0)
	if err != nil {
		return nil, err
	}
	if p.kind != tokenEnd {
		return nil, p.expected("'and', 'or' or the end")
	}
	return f, nil
}

type tokenKind int

const (
	tokenEnd  tokenKind = iota
	tokenWord           // letters, digits, '_', '.', '$'
	tokenText           // 'quoted'
	tokenMark           // one of ( ) , : /
	tokenBad
)

// filterParser is a recursive descent parser with one token of look-ahead.
type filterParser struct {
	text  string
	at    int // where the next token begins to be looked for
	start int // where the current token began
	kind  tokenKind
	value string
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '$'
}

func (p *filterParser) next() {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
	p.start, p.value = p.at, ""
	if p.at == len(p.text) {
		p.kind = tokenEnd
		return
	}
	switch c := p.text[p.at]; {
	case isWordByte(c):
		for p.at < len(p.text) && isWordByte(p.text[p.at]) {
			p.at++
		}
		p.kind, p.value = tokenWord, p.text[p.start:p.at]
	case c == '\'':
		p.quoted()
	case strings.IndexByte("(),:/", c) >= 0:
		p.at++
		p.kind, p.value = tokenMark, string(c)
	default:
		p.kind = tokenBad
	}
}

// quoted reads a text in single quotes, in which a quote is doubled.
func (p *filterParser) quoted() {
	var b strings.Builder
	for i := p.at + 1; i < len(p.text); i++ {
		if p.text[i] != '\'' {
			b.WriteByte(p.text[i])
			continue
		}
		if i+1 < len(p.text) && p.text[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		p.at, p.kind, p.value = i+1, tokenText, b.String()
		return
	}
	p.kind = tokenBad
}

func (p *filterParser) expected(what string) error {
	found := p.value
	switch p.kind {
	case tokenEnd:
		found = "the end"
	case tokenBad:
		found = fmt.Sprintf("%q", p.text[p.start:min(p.start+1, len(p.text))])
	}
	return fmt.Errorf("expected %s at position %d, found %s", what, p.start, found)
}

// take consumes the current token when it is that mark or word (words without case).
func (p *filterParser) take(kind tokenKind, value string) bool {
	if p.kind != kind || !strings.EqualFold(p.value, value) {
		return false
	}
	p.next()
	return true
}

func (p *filterParser) need(kind tokenKind, value string) error {
	if !p.take(kind, value) {
		return p.expected("'" + value + "'")
	}
	return nil
}

func (p *filterParser) word(what string) (string, error) {
	if p.kind != tokenWord {
		return "", p.expected(what)
	}
	value := p.value
	p.next()
	return value, nil
}

func (p *filterParser) quotedText() (string, error) {
	if p.kind != tokenText {
		return "", p.expected("a text in single quotes")
	}
	value := p.value
	p.next()
	return value, nil
}

func (p *filterParser) disjunction(depth int) (filter, error) {
	left, err := p.conjunction(depth)
	for err == nil && p.take(tokenWord, "or") {
		var right filter
		right, err = p.conjunction(depth)
		left = junction{or: true, left: left, right: right}
	}
	return left, err
}

func (p *filterParser) conjunction(depth int) (filter, error) {
	left, err := p.primary(depth)
	for err == nil && p.take(tokenWord, "and") {
		var right filter
		right, err = p.primary(depth)
		left = junction{left: left, right: right}
	}
	return left, err
}

func (p *filterParser) primary(depth int) (filter, error) {
	if depth >= maxFilterDepth {
		return nil, fmt.Errorf("parentheses are nested deeper than %d", maxFilterDepth)
	}
	if p.take(tokenMark, "(") {
		f, err := p.disjunction(depth + 1)
		if err == nil {
			err = p.need(tokenMark, ")")
		}
		return f, err
	}
	name, err := p.word("a property or a function")
	if err != nil {
		return nil, err
	}
	switch {
	case p.take(tokenMark, "("):
		return p.call(name)
	case p.take(tokenMark, "/"):
		return p.lambda(name)
	}
	if err := p.need(tokenWord, "eq"); err != nil {
		return nil, err
	}
	for _, literal := range []string{"true", "false"} {
		if p.take(tokenWord, literal) {
			return comparison{name: name, text: literal, bare: true}, nil
		}
	}
	text, err := p.quotedText()
	return comparison{name: name, text: text}, err
}

// call reads the rest of startswith(property,'text').
func (p *filterParser) call(function string) (filter, error) {
	if !strings.EqualFold(function, "startswith") {
		return nil, fmt.Errorf("the function '%s' is not supported", function)
	}
	name, err := p.word("a property")
	if err == nil {
		err = p.need(tokenMark, ",")
	}
	if err != nil {
		return nil, err
	}
	text, err := p.quotedText()
	if err == nil {
		err = p.need(tokenMark, ")")
	}
	return comparison{name: name, text: text, kind: startsWith}, err
}

// lambda reads the rest of collection/any(x:x eq 'text').
func (p *filterParser) lambda(name string) (filter, error) {
	err := p.need(tokenWord, "any")
	if err == nil {
		err = p.need(tokenMark, "(")
	}
	if err != nil {
		return nil, err
	}
	variable, err := p.word("a variable")
	if err == nil {
		err = p.need(tokenMark, ":")
	}
	if err == nil {
		err = p.need(tokenWord, variable)
	}
	if err == nil {
		err = p.need(tokenWord, "eq")
	}
	if err != nil {
		return nil, err
	}
	text, err := p.quotedText()
	if err == nil {
		err = p.need(tokenMark, ")")
	}
	return comparison{name: name, text: text, kind: anyEquals}, err
}
