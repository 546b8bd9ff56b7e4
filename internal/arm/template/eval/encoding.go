package eval

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/kustos-io/kustos/internal/arm/template/value"
)

func encodingFunctions() map[string]*builtin {
	return map[string]*builtin{
		"base64": {least: 1, most: 1, arity: func(name string, _ int) error {
			return Errorf("The template language function '%s' must have only one parameter. %s", name, see(name))
		}, eager: onText(func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) })},
		"base64ToString": {least: 1, most: 1, eager: func(c *call, args []value.Value) (value.Value, error) { return fromBase64(c, args[0]) }},
		"base64ToJson": {least: 1, most: 1, eager: func(c *call, args []value.Value) (value.Value, error) {
			s, err := fromBase64(c, args[0])
			if err != nil {
				return nil, err
			}
			return jsonText(c, s)
		}},
		"dataUri": {least: 1, most: 1, eager: func(_ *call, args []value.Value) (value.Value, error) {
			kind, body := "application/json", ""
			if s, ok := args[0].(string); ok {
				kind, body = "text/plain", s
			} else {
				body = value.JSON(args[0])
			}
			return "data:" + kind + ";charset=utf-8;base64," + base64.StdEncoding.EncodeToString([]byte(body)), nil
		}},
		"dataUriToString": {least: 1, most: 1, eager: dataURIToString},
		"uriComponent":    {least: 1, most: 1, eager: onText(escapeComponent)},
		"uriComponentToString": {least: 1, most: 1, eager: onText(func(s string) string {
			return unescapeComponent(s)
		})},
	}
}

// decodeBase64 reads base64 with or without blanks between the characters.
func decodeBase64(s string) ([]byte, bool) {
	s = strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, s)
	data, err := base64.StdEncoding.DecodeString(s)
	return data, err == nil
}

func fromBase64(c *call, v value.Value) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", wrongType(c.name, "a string", v)
	}
	data, ok := decodeBase64(s)
	if !ok {
		return "", notValid(c.name, "The value cannot be decoded from base64 representation.")
	}
	return strings.ToValidUTF8(string(data), "\ufffd"), nil
}

// dataURIToString reads data:[media[;name=value…]][;base64],body.
func dataURIToString(c *call, args []value.Value) (value.Value, error) {
	s, ok := args[0].(string)
	if !ok {
		return nil, wrongType(c.name, "a string", args[0])
	}
	bad := Errorf("The template language function '%s' expects its parameter to be formatted as a valid data URI. The provided value '%s' was not formatted correctly. %s", c.name, s, see(c.name))
	if len(s) < 5 || !strings.EqualFold(s[:5], "data:") {
		return nil, bad
	}
	head, body, ok := strings.Cut(s[5:], ",")
	if !ok {
		return nil, bad
	}
	parts := strings.Split(head, ";")
	charset, encoded := "", false
	if parts[0] != "" && !strings.Contains(parts[0], "/") {
		return nil, bad
	}
	for i, p := range parts[1:] {
		name, v, pair := strings.Cut(p, "=")
		switch {
		case strings.EqualFold(p, "base64") && i == len(parts)-2:
			encoded = true
		case !pair || parts[0] == "":
			return nil, bad
		case strings.EqualFold(name, "charset"):
			charset = v
		}
	}
	var data []byte
	if encoded {
		if data, ok = decodeBase64(unescapeComponent(body)); !ok {
			return nil, bad
		}
	} else {
		data = unescapeBytes(body)
	}
	text, ok := decodeCharset(data, charset)
	if !ok {
		return nil, Errorf("The template language function '%s' parameter is not valid. The provided charset '%s' is not supported. %s", c.name, charset, see(c.name))
	}
	return text, nil
}

func decodeCharset(data []byte, charset string) (string, bool) {
	switch strings.ToLower(charset) {
	case "", "utf-8", "utf8":
		return strings.ToValidUTF8(string(data), "\ufffd"), true
	case "us-ascii", "ascii":
		var b strings.Builder
		for _, c := range data {
			if c >= utf8.RuneSelf {
				c = '?'
			}
			b.WriteByte(c)
		}
		return b.String(), true
	case "iso-8859-1", "latin1":
		var b strings.Builder
		for _, c := range data {
			b.WriteRune(rune(c))
		}
		return b.String(), true
	case "utf-16", "utf-16le":
		wide := make([]uint16, len(data)/2)
		for i := range wide {
			wide[i] = uint16(data[2*i]) | uint16(data[2*i+1])<<8
		}
		return string(utf16.Decode(wide)), true
	case "utf-16be":
		wide := make([]uint16, len(data)/2)
		for i := range wide {
			wide[i] = uint16(data[2*i+1]) | uint16(data[2*i])<<8
		}
		return string(utf16.Decode(wide)), true
	}
	return "", false
}

// escapeComponent percent-encodes everything but the unreserved characters of RFC 3986.
func escapeComponent(s string) string {
	const hexUpper = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexUpper[c>>4])
		b.WriteByte(hexUpper[c&15])
	}
	return b.String()
}

// unescapeComponent decodes percent sequences; what is none stays as it is.
func unescapeComponent(s string) string {
	return strings.ToValidUTF8(string(unescapeBytes(s)), "\ufffd")
}

func unescapeBytes(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out = append(out, byte(n))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return out
}
