// Package shared runs the team's black-box programs against the binary when
// their folder lies beside the checkout, and says plainly when it does not.
package shared
