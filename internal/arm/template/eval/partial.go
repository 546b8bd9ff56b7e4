package eval

import (
	"errors"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/expr"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// partOf is the part at (a name or an index) of a value that is not known as a
// whole: err says so. What is not deferred stays the error it is.
func partOf(err error, at value.Value) (value.Value, error) {
	var d *Deferred
	if !errors.As(err, &d) {
		return nil, err
	}
	part, ok := member(d.Expr, at)
	if !ok {
		return nil, &Deferred{Function: d.Function, Target: d.Target}
	}
	if v, ok := known(part); ok {
		return v, nil
	}
	return nil, &Deferred{Function: d.Function, Target: d.Target, Expr: part}
}

// member is the argument of createObject or createArray that stands for a part.
func member(e expr.Expr, at value.Value) (expr.Expr, bool) {
	c, ok := e.(*expr.Call)
	if !ok {
		return nil, false
	}
	switch at := at.(type) {
	case string:
		if !strings.EqualFold(c.Name, "createObject") {
			return nil, false
		}
		for i := 0; i+1 < len(c.Args); i += 2 {
			if name, ok := c.Args[i].(*expr.Text); ok && strings.EqualFold(name.Value, at) {
				return c.Args[i+1], true
			}
		}
	case int64:
		if strings.EqualFold(c.Name, "createArray") && at >= 0 && at < int64(len(c.Args)) {
			return c.Args[at], true
		}
	}
	return nil, false
}

// known is the value of an expression that constant made, or that is put
// together of such.
func known(e expr.Expr) (value.Value, bool) {
	switch e := e.(type) {
	case *expr.Text:
		return e.Value, true
	case *expr.Int:
		return e.Value, true
	case *expr.Call:
		switch name := strings.ToLower(e.Name); {
		case name == "true" && len(e.Args) == 0:
			return true, true
		case name == "false" && len(e.Args) == 0:
			return false, true
		case name == "null" && len(e.Args) == 0:
			return nil, true
		case name == "json" && len(e.Args) == 1:
			if t, ok := e.Args[0].(*expr.Text); ok {
				v, err := value.FromJSON([]byte(t.Value))
				return v, err == nil
			}
		case name == "createarray" || name == "createobject" && len(e.Args)%2 == 0:
			return knownParts(name, e.Args)
		}
	}
	return nil, false
}

func knownParts(name string, args []expr.Expr) (value.Value, bool) {
	parts := make([]value.Value, len(args))
	for i, a := range args {
		v, ok := known(a)
		if !ok {
			return nil, false
		}
		parts[i] = v
	}
	if name == "createarray" {
		return parts, true
	}
	out := value.NewObject(len(parts) / 2)
	for i := 0; i < len(parts); i += 2 {
		key, ok := parts[i].(string)
		if !ok {
			return nil, false
		}
		out.Set(key, parts[i+1])
	}
	return out, true
}

// structured shows an expression that is not known as a whole: objects and
// arrays it puts together as such, and the rest as expressions.
func structured(e expr.Expr) value.Value {
	if v, ok := known(e); ok {
		return v
	}
	c, ok := e.(*expr.Call)
	switch {
	case ok && strings.EqualFold(c.Name, "createArray"):
		out := make([]value.Value, len(c.Args))
		for i, a := range c.Args {
			out[i] = structured(a)
		}
		return out
	case ok && strings.EqualFold(c.Name, "createObject") && len(c.Args)%2 == 0:
		out := value.NewObject(len(c.Args) / 2)
		for i := 0; i < len(c.Args); i += 2 {
			name, ok := c.Args[i].(*expr.Text)
			if !ok {
				return "[" + e.String() + "]"
			}
			out.Set(name.Value, structured(c.Args[i+1]))
		}
		return out
	}
	return "[" + e.String() + "]"
}
