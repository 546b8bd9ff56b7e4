package eval

import (
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/expr"
	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// Library is the table of built-in functions. It is immutable and safe for
// concurrent use.
type Library struct{ table map[string]*builtin }

// builtin is one function. Exactly one of lazy and eager is set.
type builtin struct {
	least, most int // number of arguments; most < 0 means any
	// builds is set for functions that put arguments together: their results
	// are weighed.
	builds bool
	// refused is set for functions of the language that are known, and whose
	// calls are refused with a reason.
	refused bool
	// arity replaces the usual text for a wrong number of arguments.
	arity func(name string, n int) error
	eager func(c *call, args []value.Value) (value.Value, error)
	lazy  func(c *call) (value.Value, error)
}

// call is one invocation: the name as written, the environment, the arguments
// as expressions.
type call struct {
	name string
	env  *Env
	args []expr.Expr
}

func (c *call) eval(i int) (value.Value, error) { return c.env.Eval(c.args[i]) }

// NewLibrary builds the table.
func NewLibrary() *Library {
	l := &Library{table: make(map[string]*builtin, 160)}
	for _, family := range []map[string]*builtin{
		arrayFunctions(), collectionFunctions(), comparisonFunctions(), logicalFunctions(), numericFunctions(), objectFunctions(),
		stringFunctions(), encodingFunctions(), uriFunctions(), hashFunctions(), dateFunctions(), lambdaFunctions(), cidrFunctions(),
		deploymentFunctions(), scopeFunctions(), resourceFunctions(), flowFunctions(), refusedFunctions(),
	} {
		for name, b := range family {
			key := strings.ToLower(name)
			if l.table[key] != nil {
				panic("BUG: template function defined twice: " + name)
			}
			l.table[key] = b
		}
	}
	return l
}

// lookup finds a function without case. Names that begin with "list" are all
// the one function that posts to a resource.
func (l *Library) lookup(name string) (*builtin, bool) {
	key := strings.ToLower(name)
	if b, ok := l.table[key]; ok {
		return b, true
	}
	if strings.HasPrefix(key, "list") && len(key) > len("list") && !strings.Contains(key, ".") {
		return l.table["list*"], true
	}
	return nil, false
}

// Known reports whether name is a built-in function.
func (l *Library) Known(name string) bool {
	_, ok := l.lookup(name)
	return ok && name != "list*"
}

// IsRuntime reports whether a call reads live resources.
func IsRuntime(name string) bool {
	key := strings.ToLower(name)
	return key == "reference" || key == "references" || strings.HasPrefix(key, "list") && len(key) > len("list") && !strings.Contains(key, ".")
}
