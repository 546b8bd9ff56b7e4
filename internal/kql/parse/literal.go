package parse

import (
	"math"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/token"
	"github.com/kustos-io/kustos/internal/kql/types"
)

func boolLiteral(at ast.At, v bool) *ast.Literal {
	l := &ast.Literal{At: at, Type: types.Bool}
	if v {
		l.Int = 1
	}
	return l
}

func (p *parser) literal() (ast.Expr, error) {
	t := p.advance()
	at := ast.At(t.Pos)
	switch t.Kind {
	case token.String:
		l := &ast.Literal{At: at, Type: types.String, Text: t.Value, Secret: t.Secret}
		for p.tok().Kind == token.String {
			n := p.advance()
			l.Text += n.Value
			l.Secret = l.Secret || n.Secret
		}
		if strings.ContainsRune(l.Text, 0) {
			return nil, p.errorf(t.Pos, "a string literal may not hold the character U+0000")
		}
		return l, nil
	case token.Number:
		return p.number(at, t.Text)
	case token.Span:
		ticks, ok := types.ParseTimeSpan(t.Text)
		if !ok {
			return nil, p.errorf(t.Pos, "'%s' is out of the range of timespan", t.Text)
		}
		return &ast.Literal{At: at, Type: types.TimeSpan, Int: ticks}, nil
	}
	ty, _ := types.Parse(t.Text)
	return p.typed(at, ty, t.Text, strings.TrimSpace(t.Value))
}

func (p *parser) number(at ast.At, text string) (*ast.Literal, error) {
	if n, ok := whole(text); ok {
		return &ast.Literal{At: at, Type: types.Long, Int: n}, nil
	}
	if !strings.ContainsAny(text, ".eE") || strings.HasPrefix(strings.ToLower(text), "0x") {
		return nil, p.errorf(int(at), "'%s' is out of the range of long", text)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, p.errorf(int(at), "'%s' is no number", text)
	}
	return &ast.Literal{At: at, Type: types.Real, Real: f}, nil
}

// whole reads decimal or hexadecimal digits with an optional sign. Hexadecimal covers all 64 bits.
func whole(text string) (int64, bool) {
	if h, ok := strings.CutPrefix(strings.ToLower(text), "0x"); ok {
		n, err := strconv.ParseUint(h, 16, 64)
		return int64(n), err == nil
	}
	if strings.ContainsAny(text, "_") {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(text, "+"), 10, 64)
	return n, err == nil && !strings.HasPrefix(text, "+-")
}

func (p *parser) typed(at ast.At, ty types.Type, word, raw string) (ast.Expr, error) {
	l := &ast.Literal{At: at, Type: ty}
	if raw == "null" {
		l.Null = true
		return l, nil
	}
	bad := func() (ast.Expr, error) {
		return nil, p.errorf(int(at), "the text in %s(…) is no %s literal", word, ty)
	}
	switch ty {
	case types.Bool:
		switch strings.ToLower(raw) {
		case "true", "1":
			l.Int = 1
		case "false", "0":
		default:
			return bad()
		}
	case types.Int, types.Long:
		n, ok := whole(strings.ReplaceAll(raw, " ", ""))
		if !ok || ty == types.Int && (n < math.MinInt32 || n > math.MaxInt32) {
			return bad()
		}
		l.Int = n
	case types.Real:
		f, ok := realText(strings.ReplaceAll(raw, " ", ""))
		if !ok {
			return bad()
		}
		l.Real = f
	case types.Decimal:
		text, ok := decimalText(strings.ReplaceAll(raw, " ", ""))
		if !ok {
			return bad()
		}
		l.Text = text
	case types.DateTime:
		return p.datetime(l, raw, bad)
	case types.TimeSpan:
		if n, ok := unquoted(raw); ok {
			raw = n
		}
		n, ok := types.ParseTimeSpan(raw)
		if !ok {
			return bad()
		}
		l.Int = n
	case types.GUID:
		if n, ok := unquoted(raw); ok {
			raw = n
		}
		g, ok := guidText(raw)
		if !ok {
			return bad()
		}
		l.Text = g
	case types.Dynamic:
		return p.dynamic(l, raw)
	}
	return l, nil
}

func (p *parser) datetime(l *ast.Literal, raw string, bad func() (ast.Expr, error)) (ast.Expr, error) {
	if raw == "" {
		return &ast.Call{At: l.At, Name: "now"}, nil
	}
	if n, ok := unquoted(raw); ok {
		raw = n
	}
	n, ok := types.ParseDateTime(raw)
	if !ok {
		// A day and month that fit no calendar are a null, other text is a mistake.
		if strings.Trim(raw, "0123456789-/ :.TZ") != "" || len(strings.FieldsFunc(raw, func(r rune) bool { return r == '-' || r == '/' })) < 3 {
			return bad()
		}
		l.Null = true
		return l, nil
	}
	l.Int = n
	return l, nil
}

func unquoted(raw string) (string, bool) {
	toks, err := token.Lex(raw)
	if err == nil && len(toks) == 2 && toks[0].Kind == token.String {
		return toks[0].Value, true
	}
	return "", false
}

func realText(s string) (float64, bool) {
	switch strings.ToLower(s) {
	case "nan":
		return math.NaN(), true
	case "+inf", "inf", "infinity", "+infinity":
		return math.Inf(1), true
	case "-inf", "-infinity":
		return math.Inf(-1), true
	}
	if n, ok := whole(s); ok {
		return float64(n), true
	}
	if s == "" || strings.Trim(s, "0123456789.eE+-") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// decimalText normalises a decimal literal: sign, digits, at most 18 fraction digits and 20 whole ones, which is what
// the stored type holds exactly.
func decimalText(s string) (string, bool) {
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimLeft(strings.TrimPrefix(s, "-"), "+")
	mant, exp, hasExp := strings.Cut(strings.ToLower(s), "e")
	if mant == "" || strings.Trim(mant, "0123456789.") != "" || strings.Count(mant, ".") > 1 || mant == "." {
		return "", false
	}
	w, f, _ := strings.Cut(mant, ".")
	if hasExp {
		n, err := strconv.Atoi(exp)
		if err != nil || n < -40 || n > 40 {
			return "", false
		}
		for ; n > 0; n-- {
			if f == "" {
				f = "0"
			}
			w, f = w+f[:1], f[1:]
		}
		for ; n < 0; n++ {
			if w == "" {
				w = "0"
			}
			w, f = w[:len(w)-1], w[len(w)-1:]+f
		}
	}
	w = strings.TrimLeft(w, "0")
	f = strings.TrimRight(f, "0")
	if len(w) > 20 || len(f) > 18 {
		return "", false
	}
	if w == "" {
		w = "0"
	}
	if f != "" {
		w += "." + f
	}
	if neg && w != "0" {
		w = "-" + w
	}
	return w, true
}

func guidText(s string) (string, bool) {
	s = strings.ToLower(strings.Trim(s, "{}"))
	h := strings.ReplaceAll(s, "-", "")
	if len(h) != 32 || strings.Trim(h, "0123456789abcdef") != "" || len(s) != 32 && len(s) != 36 {
		return "", false
	}
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], true
}
