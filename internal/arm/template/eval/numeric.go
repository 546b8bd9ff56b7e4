package eval

import (
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/value"
)

func numericFunctions() map[string]*builtin {
	return map[string]*builtin{
		"add": {least: 2, most: 2, eager: arithmetic(func(a, b *big.Int) *big.Int { return a.Add(a, b) })},
		"sub": {least: 2, most: 2, eager: arithmetic(func(a, b *big.Int) *big.Int { return a.Sub(a, b) })},
		"mul": {least: 2, most: 2, eager: arithmetic(func(a, b *big.Int) *big.Int { return a.Mul(a, b) })},
		"div": {least: 2, most: 2, eager: divide(func(a, b *big.Int) *big.Int { return a.Quo(a, b) })},
		"mod": {least: 2, most: 2, eager: divide(func(a, b *big.Int) *big.Int { return a.Rem(a, b) })},
		"int": {least: 1, most: 1, eager: toInt},
		"float": {least: 1, most: 1, eager: func(c *call, args []value.Value) (value.Value, error) {
			switch x := args[0].(type) {
			case float64:
				return x, nil
			case int64:
				return float64(x), nil
			case string:
				if f, err := strconv.ParseFloat(strings.TrimSpace(x), 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
					return f, nil
				}
				return nil, Errorf("The template language function '%s' cannot convert provided value '%s' to floating point value. %s", c.name, x, see(c.name))
			}
			return nil, wrongType(c.name, "a string or a number", args[0])
		}},
		"copyIndex": {least: 0, most: 2, eager: copyIndex},
	}
}

// integer reads an int64 from an integer or a string that looks like one.
func integer(v value.Value) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case string:
		n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		return n, err == nil
	}
	return 0, false
}

func operands(c *call, args []value.Value) (a, b *big.Int, err error) {
	x, ok1 := integer(args[0])
	y, ok2 := integer(args[1])
	if !ok1 || !ok2 {
		return nil, nil, Errorf("The template language function '%s' expects its parameters to be integers. The provided value is of type '%s' and '%s'. %s", c.name, value.TypeName(args[0]), value.TypeName(args[1]), see(c.name))
	}
	return big.NewInt(x), big.NewInt(y), nil
}

func arithmetic(op func(a, b *big.Int) *big.Int) func(*call, []value.Value) (value.Value, error) {
	return func(c *call, args []value.Value) (value.Value, error) {
		a, b, err := operands(c, args)
		if err != nil {
			return nil, err
		}
		x, y := a.String(), b.String()
		out := op(a, b)
		if !out.IsInt64() {
			return nil, Errorf("The template language function '%s' overflowed with the operants '%s' and '%s'. %s", c.name, x, y, seeFunctions)
		}
		return out.Int64(), nil
	}
}

func divide(op func(a, b *big.Int) *big.Int) func(*call, []value.Value) (value.Value, error) {
	checked := arithmetic(op)
	return func(c *call, args []value.Value) (value.Value, error) {
		_, b, err := operands(c, args)
		if err != nil {
			return nil, err
		}
		if b.Sign() == 0 {
			return nil, Errorf("The template language function '%s' cannot be evaluated: Attempted to divide by zero. %s", c.name, see(c.name))
		}
		return checked(c, args)
	}
}

func toInt(c *call, args []value.Value) (value.Value, error) {
	switch x := args[0].(type) {
	case int64:
		return x, nil
	case float64:
		if x == math.Trunc(x) && math.Abs(x) < 1<<63 {
			return int64(x), nil
		}
		return nil, Errorf("The template language function '%s' cannot convert provided value '%s' to integer value. %s", c.name, value.FormatFloat(x), see(c.name))
	case string:
		if n, ok := integer(x); ok {
			return n, nil
		}
		return nil, Errorf("The template language function '%s' cannot convert provided value '%s' to integer value. %s", c.name, x, see(c.name))
	}
	return nil, wrongType(c.name, "a string or an integer", args[0])
}

// copyIndex is copyIndex([offset]), copyIndex(loop[, offset]).
func copyIndex(c *call, args []value.Value) (value.Value, error) {
	const seeCopy = "Please see https://aka.ms/arm-copy for usage details."
	name, offset := "", int64(0)
	named := false
	if len(args) > 0 {
		if name, named = args[0].(string); named {
			args = args[1:]
		}
	}
	if len(args) > 0 {
		n, ok := args[0].(int64)
		if !ok || len(args) > 1 {
			return nil, Errorf("The template function '%s' is not valid: the parameters must be a loop name, an integer offset, or a loop name followed by an integer offset. %s", c.name, seeCopy)
		}
		offset = n
	}
	for l := c.env.Loop; l != nil; l = l.Outer {
		if named && strings.EqualFold(l.Name, name) || !named && !l.ByName {
			if l.Opaque {
				return nil, &Deferred{Function: c.name, Target: l.Name}
			}
			out, ok := addInt64(l.Index, offset)
			if !ok {
				return nil, Errorf("The template language function '%s' overflowed with the operants '%d' and '%d'. %s", c.name, l.Index, offset, seeFunctions)
			}
			return out, nil
		}
	}
	if named {
		return nil, Errorf("The template function '%s' is not expected at this location. There is no copy loop named '%s' around it. %s", c.name, name, seeCopy)
	}
	return nil, Errorf("The template function '%s' is not expected at this location. The function can only be used in a resource with copy specified. %s", c.name, seeCopy)
}

func addInt64(a, b int64) (int64, bool) {
	sum := a + b
	return sum, (sum > a) == (b > 0)
}
