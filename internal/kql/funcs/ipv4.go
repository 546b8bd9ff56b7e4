package funcs

import (
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// ipv4Functions read addresses of the form a.b.c.d with an optional /prefix; other text is null.
func ipv4Functions() []Scalar {
	prefixed := func(name string, result types.Type) Scalar {
		return custom(name, Default, "s s i?", func(_ Context, a []plan.Expr) (plan.Expr, error) {
			if len(a) == 2 {
				a = append(a, plan.Long(32))
			}
			return call(name, result, a...), nil
		})
	}
	return []Scalar{
		fn("parse_ipv4", Default, "s", types.Long),
		fn("parse_ipv4_mask", Default, "s i", types.Long),
		fn("ipv4_is_private", Default, "s", types.Bool),
		fn("ipv4_netmask_suffix", Default, "s", types.Long),
		fn("ipv4_is_in_range", Default, "s s", types.Bool),
		prefixed("ipv4_is_match", types.Bool),
		prefixed("ipv4_compare", types.Long),
	}
}
