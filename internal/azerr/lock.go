package azerr

import "fmt"

// Errors of management locks; the refusal of a locked change is ScopeLocked.

// LockNotFound: no lock of that name at that scope.
func LockNotFound(name string) *Error {
	return missing("LockNotFound", fmt.Sprintf("The lock '%s' could not be found.", name))
}

// InvalidLockName: the rule of the name is in the text.
func InvalidLockName(name string) *Error {
	return bad("InvalidLockName", fmt.Sprintf(`The lock name '%s' is invalid: it must have 1 to 260 characters and none of <>%%&:\?/ or control characters.`, name))
}

// LocksNotSupported: only subscriptions, groups and resources can be locked.
func LocksNotSupported(scope string) *Error {
	return bad("OperationNotSupported", fmt.Sprintf("A lock cannot be put on the scope '%s': locks are for subscriptions, resource groups and resources.", scope))
}
