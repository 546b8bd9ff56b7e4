package filter

import (
	"strings"
)

// Subject is what a filter decides about.
type Subject struct {
	Name, ResourceType, ResourceGroup, Location string
	// IdentityType and PrincipalID are of the resource's managed identity, "" without one.
	IdentityType, PrincipalID string
	Tags                      map[string]string
}

// Expr is a parsed filter.
type Expr interface {
	// Match decides about s.
	Match(s Subject) bool
	// String prints the filter so that Parse reads the same Expr.
	String() string
	// holds decides with one tag of s chosen: "tagName eq 'a' and tagValue eq 'b'"
	// means one tag with both.
	holds(s Subject, tag tag) bool
}

type tag struct {
	name, value string
	present     bool
}

// match is true when some tag, or no tag, makes e hold.
func match(e Expr, s Subject) bool {
	if e.holds(s, tag{}) {
		return true
	}
	for name, value := range s.Tags {
		if e.holds(s, tag{name, value, true}) {
			return true
		}
	}
	return false
}

// And holds when both sides do.
type And struct{ Left, Right Expr }

// Match decides about s.
func (e And) Match(s Subject) bool        { return match(e, s) }
func (e And) holds(s Subject, t tag) bool { return e.Left.holds(s, t) && e.Right.holds(s, t) }
func (e And) String() string              { return inAnd(e.Left, false) + " and " + inAnd(e.Right, true) }

// inAnd puts what binds weaker than "and" in parentheses, and a right-hand
// "and", which would otherwise be read as the left one's.
func inAnd(e Expr, right bool) string {
	switch e.(type) {
	case Or:
		return "(" + e.String() + ")"
	case And:
		if right {
			return "(" + e.String() + ")"
		}
	}
	return e.String()
}

// Or holds when one side does.
type Or struct{ Left, Right Expr }

// Match decides about s.
func (e Or) Match(s Subject) bool        { return match(e, s) }
func (e Or) holds(s Subject, t tag) bool { return e.Left.holds(s, t) || e.Right.holds(s, t) }

func (e Or) String() string {
	right := e.Right.String()
	if _, ok := e.Right.(Or); ok {
		right = "(" + right + ")"
	}
	return e.Left.String() + " or " + right
}

// Compare is Property eq 'Value', or ne.
type Compare struct {
	Property string // as in properties()
	NotEqual bool
	Value    string
}

// Match decides about s.
func (e Compare) Match(s Subject) bool { return match(e, s) }

func (e Compare) holds(s Subject, t tag) bool {
	if isTag(e.Property) {
		if !t.present {
			return false
		}
		if is(e.Property, "tagValue") {
			return t.value == e.Value
		}
		return is(t.name, e.Value)
	}
	return is(normal(e.Property, value(s, e.Property)), normal(e.Property, e.Value)) != e.NotEqual
}

func (e Compare) String() string {
	op := " eq "
	if e.NotEqual {
		op = " ne "
	}
	return e.Property + op + quote(e.Value)
}

// Text is a function over a property: substringof('Value', Property) or
// startswith(Property, 'Value').
type Text struct {
	Prefix   bool
	Property string
	Value    string
}

// Match decides about s.
func (e Text) Match(s Subject) bool { return match(e, s) }

func (e Text) holds(s Subject, t tag) bool {
	text := value(s, e.Property)
	if isTag(e.Property) {
		if !t.present {
			return false
		}
		text = t.name
		if is(e.Property, "tagValue") {
			text = t.value
		}
	}
	text, part := strings.ToLower(text), strings.ToLower(e.Value)
	if e.Prefix {
		return strings.HasPrefix(text, part)
	}
	return strings.Contains(text, part)
}

func (e Text) String() string {
	if e.Prefix {
		return "startswith(" + e.Property + ", " + quote(e.Value) + ")"
	}
	return "substringof(" + quote(e.Value) + ", " + e.Property + ")"
}

// properties are the names known, in the casing that String prints.
func properties() []string {
	return []string{"name", "resourceType", "resourceGroup", "location", "identity", "identity/principalId", "tagName", "tagValue",
		"plan", "plan/publisher", "plan/product", "plan/name", "plan/version", "plan/promotionCode"}
}

func isTag(property string) bool { return is(property, "tagName") || is(property, "tagValue") }

func value(s Subject, property string) string {
	switch property {
	case "name":
		return s.Name
	case "resourceType":
		return s.ResourceType
	case "resourceGroup":
		return s.ResourceGroup
	case "location":
		return s.Location
	case "identity":
		return s.IdentityType
	case "identity/principalId":
		return s.PrincipalID
	}
	return "" // a plan: nothing here is bought in a marketplace
}

// normal drops the blanks of a location, which clients send in either form.
func normal(property, text string) string {
	if property == "location" {
		return strings.ReplaceAll(text, " ", "")
	}
	return text
}

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func is(a, b string) bool { return strings.EqualFold(a, b) }
