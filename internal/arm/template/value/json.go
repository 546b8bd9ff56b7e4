package value

import (
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// JSON prints a value as compact JSON the way the service does: members in
// order, no escapes but those JSON needs.
func JSON(v Value) string { return string(AppendJSON(nil, v)) }

// AppendJSON appends compact JSON to dst.
func AppendJSON(dst []byte, v Value) []byte { return appendJSON(dst, v, '"') }

// AppendSingleQuoted appends compact JSON whose strings and names stand in
// single quotes, the form format() gives objects and arrays.
func AppendSingleQuoted(dst []byte, v Value) []byte { return appendJSON(dst, v, '\'') }

func appendJSON(dst []byte, v Value, quote byte) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case *big.Int:
		return v.Append(dst, 10)
	case float64:
		return append(dst, FormatFloat(v)...)
	case string:
		return appendString(dst, v, quote)
	case []Value:
		dst = append(dst, '[')
		for i, item := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, item, quote)
		}
		return append(dst, ']')
	case *Object:
		dst = append(dst, '{')
		for i, m := range v.Members() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, m.Name, quote), ':')
			dst = appendJSON(dst, m.Value, quote)
		}
		return append(dst, '}')
	}
	panic("BUG: not a template value")
}

// FormatFloat prints a floating-point number so that it reads back as one: the
// shortest digits, with ".0" when there is no fraction.
func FormatFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return `"NaN"`
	case math.IsInf(f, 1):
		return `"Infinity"`
	case math.IsInf(f, -1):
		return `"-Infinity"`
	}
	abs := math.Abs(f)
	var s string
	if abs != 0 && (abs < 1e-5 || abs >= 1e15) {
		s = strconv.FormatFloat(f, 'E', -1, 64)
	} else {
		s = strconv.FormatFloat(f, 'f', -1, 64)
	}
	if !strings.ContainsAny(s, ".E") {
		s += ".0"
	}
	return s
}

const hexDigits = "0123456789abcdef"

func appendString(dst []byte, s string, quote byte) []byte {
	dst = append(dst, quote)
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == '\u0085' || r == '\u2028' || r == '\u2029' || r == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				if r == utf8.RuneError {
					dst = append(dst, "\ufffd"...)
				} else {
					dst = append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
				}
				start = i + size
			}
			i += size
			continue
		}
		if c >= 0x20 && c != '\\' && c != quote {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '\\', quote:
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), quote)
}

// MarshalJSON prints the object in member order.
func (o *Object) MarshalJSON() ([]byte, error) { return AppendJSON(nil, o), nil }

// Raw is AppendJSON as a json.RawMessage, for wire structs.
func Raw(v Value) json.RawMessage { return AppendJSON(nil, v) }

// FromJSON reads strict JSON, keeping member order and exact integers.
func FromJSON(data []byte) (Value, error) {
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.UseNumber()
	v, err := decode(dec)
	if err != nil {
		return nil, err
	}
	return v, nil
}

func decode(dec *json.Decoder) (Value, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := tok.(type) {
	case json.Delim:
		if t == '[' {
			out := []Value{}
			for dec.More() {
				v, err := decode(dec)
				if err != nil {
					return nil, err
				}
				out = append(out, v)
			}
			_, err := dec.Token()
			return out, err
		}
		out := NewObject(4)
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				return nil, err
			}
			v, err := decode(dec)
			if err != nil {
				return nil, err
			}
			out.Set(name.(string), v)
		}
		_, err := dec.Token()
		return out, err
	case json.Number:
		return Number(t.String())
	}
	return tok, nil
}

// Number turns the text of a JSON number into int64, *big.Int or float64.
func Number(text string) (Value, error) {
	if !strings.ContainsAny(text, ".eE") {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
		if n, ok := new(big.Int).SetString(text, 10); ok {
			return n, nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, err
	}
	return f, nil
}
