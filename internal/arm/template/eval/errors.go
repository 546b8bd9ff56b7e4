package eval

import (
	"fmt"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/value"
)

// Error is a refusal in the service's words.
type Error struct{ Message string }

// Error is the message.
func (e *Error) Error() string { return e.Message }

// Errorf makes an *Error.
func Errorf(format string, args ...any) *Error { return &Error{fmt.Sprintf(format, args...)} }

func see(function string) string {
	return "Please see https://aka.ms/arm-resource-functions/#" + strings.ToLower(function[:1]) + function[1:] + " for usage details."
}

const seeFunctions = "Please see https://aka.ms/arm-functions for usage details."

// unknownFunction refuses a name that is no function.
func unknownFunction(name string) error {
	return Errorf("The template function '%s' is not valid. %s", name, seeFunctions)
}

// misplaced refuses a function where it may not stand.
func misplaced(name string) error {
	return Errorf("The template function '%s' is not expected at this location. %s", name, seeFunctions)
}

// arityError is the service's answer to a wrong number of arguments.
func arityError(name string, least, most, n int) error {
	switch {
	case most < 0:
		if least == 1 {
			return Errorf("Unable to evaluate template language function '%s'. At least one parameter should be provided. %s", name, see(name))
		}
		return Errorf("Unable to evaluate template language function '%s': function requires at least %d argument(s) while %d were provided. %s", name, least, n, see(name))
	case least == most:
		return Errorf("Unable to evaluate template language function '%s': function requires %d argument(s) while %d were provided. %s", name, least, n, see(name))
	}
	return Errorf("Unable to evaluate template language function '%s': function requires between %d and %d argument(s) while %d were provided. %s", name, least, most, n, see(name))
}

// wrongType: the function's single parameter, or all of them, must be what.
func wrongType(name, what string, v value.Value) error {
	return Errorf("The template language function '%s' expects its parameter to be %s. The provided value is of type '%s'. %s", name, what, value.TypeName(v), see(name))
}

// wrongTypes: the parameters must be of the types what, for example "string and string".
func wrongTypes(name, what string, args []value.Value) error {
	types := make([]string, len(args))
	for i, a := range args {
		types[i] = "'" + value.TypeName(a) + "'"
	}
	return Errorf("The template language function '%s' expects its parameters to be of type %s. The provided value is of type %s. %s", name, what, strings.Join(types, " and "), see(name))
}

// ordinals name a parameter in an error text.
func ordinal(i int) string {
	names := [...]string{"first", "second", "third", "fourth", "fifth", "sixth"}
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%dth", i+1)
}

// wrongArgument: parameter i must be of the named type.
func wrongArgument(name string, i int, typeName string, v value.Value) error {
	return Errorf("The template language function '%s' expects its %s parameter to be of type '%s'. The provided value is of type '%s'. %s", name, ordinal(i), typeName, value.TypeName(v), see(name))
}

// notValid: the value cannot be what the function needs.
func notValid(name, why string) error {
	return Errorf("The template language function '%s' was invoked with a parameter that is not valid. %s %s", name, why, see(name))
}
