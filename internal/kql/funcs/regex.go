package funcs

import (
	"fmt"
	"regexp"
	"regexp/syntax"

	"github.com/kustos-io/kustos/internal/kql/plan"
)

// checkPattern refuses a constant regular expression that RE2 would refuse, before the engine sees it.
func checkPattern(x plan.Expr) error {
	l, ok := x.(*plan.Lit)
	if !ok {
		return nil
	}
	if _, err := syntax.Parse(l.Text, syntax.Perl); err != nil {
		return fmt.Errorf("the regular expression is not valid: %w", err)
	}
	return nil
}

// constPattern is checkPattern for arguments that must be constant.
func constPattern(name string, x plan.Expr) error {
	if _, ok := x.(*plan.Lit); !ok {
		return fmt.Errorf("%s(): the regular expression must be a constant", name)
	}
	return checkPattern(x)
}

// groups counts the capture groups of a valid pattern.
func groups(pattern string) int {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return 0
	}
	return re.NumSubexp()
}
