package types

import "strings"

// Type is a scalar type of the query language. The zero value is no type.
type Type uint8

// The scalar types.
const (
	Invalid Type = iota
	Bool
	Int
	Long
	Real
	Decimal
	String
	DateTime
	TimeSpan
	GUID
	Dynamic
)

var names = [...]string{"unknown", "bool", "int", "long", "real", "decimal", "string", "datetime", "timespan", "guid", "dynamic"}

var netNames = [...]string{"", "System.SByte", "System.Int32", "System.Int64", "System.Double", "System.Data.SqlTypes.SqlDecimal",
	"System.String", "System.DateTime", "System.TimeSpan", "System.Guid", "System.Object"}

// String is the name of the type as a query spells it.
func (t Type) String() string {
	if int(t) < len(names) {
		return names[t]
	}
	return names[0]
}

// NetName is the .NET name schemas show, for example System.Int64.
func (t Type) NetName() string {
	if int(t) < len(netNames) {
		return netNames[t]
	}
	return ""
}

// Parse turns a type name, including the accepted second spellings, into a type.
func Parse(name string) (Type, bool) {
	switch name {
	case "bool", "boolean":
		return Bool, true
	case "int", "int32":
		return Int, true
	case "long", "int64":
		return Long, true
	case "real", "double":
		return Real, true
	case "decimal":
		return Decimal, true
	case "string":
		return String, true
	case "datetime", "date":
		return DateTime, true
	case "timespan", "time":
		return TimeSpan, true
	case "guid", "uuid", "uniqueid":
		return GUID, true
	case "dynamic":
		return Dynamic, true
	}
	return Invalid, false
}

// ParseAny is Parse that also takes the .NET spellings that commands accept, with or without the System prefix.
func ParseAny(name string) (Type, bool) {
	if t, ok := Parse(strings.ToLower(name)); ok {
		return t, true
	}
	for i, n := range netNames {
		if i > 0 && (n == name || strings.TrimPrefix(n, "System.") == name) {
			return Type(i), true
		}
	}
	if name == "System.Boolean" || name == "Boolean" {
		return Bool, true
	}
	return Invalid, false
}

// Integer reports whether values of the type are whole numbers.
func (t Type) Integer() bool { return t == Int || t == Long }

// Numeric reports whether the type is a number.
func (t Type) Numeric() bool { return t.Integer() || t == Real || t == Decimal }

// Summable reports whether sum and avg apply: numbers and timespans.
func (t Type) Summable() bool { return t.Numeric() || t == TimeSpan }

// Ordered reports whether the type has an order that min, max and sort may use.
func (t Type) Ordered() bool { return t != Invalid && t != Dynamic }

// Widest is the common type of two numbers: int, long, and then real or decimal. It is Invalid when there is none; a
// real has no exact decimal, so those two have none.
func Widest(a, b Type) Type {
	if a == b {
		return a
	}
	if !a.Numeric() || !b.Numeric() || a == Real && b == Decimal || a == Decimal && b == Real {
		return Invalid
	}
	return max(a, b)
}
