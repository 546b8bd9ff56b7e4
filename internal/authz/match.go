package authz

import (
	"fmt"
	"strings"

	"github.com/kustos-io/kustos/internal/ids"
)

// matches reports whether an action is covered by a pattern of a role
// definition. A '*' between two slashes stands for no segment as well: Managed
// Identity Operator has "userAssignedIdentities/*/assign/action", and it is the
// role for "userAssignedIdentities/assign/action".
func matches(pattern, name string) bool {
	if glob(pattern, name) {
		return true
	}
	for i := range len(pattern) - 2 {
		if pattern[i:i+3] == "/*/" && matches(pattern[:i]+pattern[i+2:], name) {
			return true
		}
	}
	return false
}

// glob compares without case; '*' stands for any run of characters, slashes too.
func glob(pattern, name string) bool {
	pattern, name = strings.ToLower(pattern), strings.ToLower(name)
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	parts := strings.Split(rest, "*")
	last := parts[len(parts)-1]
	for _, part := range parts[:len(parts)-1] {
		_, after, ok := strings.Cut(name, part) // the leftmost place leaves most for the rest
		if !ok {
			return false
		}
		name = after
	}
	return strings.HasSuffix(name, last)
}

// scopeKey brings a scope to the form in which scopes are compared.
func scopeKey(scope string) (string, error) {
	id, err := ids.Parse(scope)
	if err != nil {
		return "", fmt.Errorf("scope: %w", err)
	}
	return id.Key(), nil
}

// covers reports whether a right at scope granted reaches scope asked. Both are keys.
func covers(granted, asked string) bool {
	return granted == "/" || granted == asked || strings.HasPrefix(asked, granted+"/")
}
