package directory

import (
	"slices"
	"strings"
)

// userScope is what a person lets a client do: everything that the person may
// do with one resource.
type userScope struct {
	resource string
	// asked are the scopes of the resource as they were asked for.
	asked   []string
	openID  bool // an id_token is wanted
	offline bool // a refresh token is wanted
}

// parseUserScope reads a scope list. Of a resource there is ".default" and
// "user_impersonation", which mean the same. A narrower right than that is
// refused: no plane would keep to it.
func parseUserScope(scope string) (userScope, error) {
	var s userScope
	for item := range strings.FieldsSeq(scope) {
		switch item {
		case "openid", "profile", "email":
			s.openID = true
			continue
		case "offline_access":
			s.offline = true
			continue
		}
		resource, ok := strings.CutSuffix(item, "/.default")
		if !ok {
			resource, ok = strings.CutSuffix(item, "/user_impersonation")
		}
		switch {
		case !ok || resource == "":
			return userScope{}, errScopeNarrow(quoted(item))
		case s.resource != "" && s.resource != resource:
			return userScope{}, errScopeTwoResources(quoted(scope))
		}
		s.resource = resource
		if !slices.Contains(s.asked, item) {
			s.asked = append(s.asked, item)
		}
	}
	switch {
	case strings.TrimSpace(scope) == "":
		return userScope{}, errParameterMissing("scope")
	case s.resource == "":
		return userScope{}, errScopeNarrow(quoted(scope))
	}
	return s, nil
}

// granted is the scope of the answer. It holds what was asked for, because
// MSAL finds a token in its cache by that.
func (s userScope) granted() string {
	out := slices.Clone(s.asked)
	if whole := s.resource + "/user_impersonation"; !slices.Contains(out, whole) {
		out = append([]string{whole}, out...)
	}
	return strings.Join(out, " ")
}

// claim is the scp claim. For Graph it says what az's token says in Azure;
// azurerm takes "openid" in it for a person.
func (s userScope) claim() string {
	if audienceMatches(strings.ToLower(s.resource), graphAudiences()) {
		return "Directory.AccessAsUser.All email openid profile"
	}
	return "user_impersonation"
}
