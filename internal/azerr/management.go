package azerr

import (
	"fmt"
	"net/http"
)

// Errors of Microsoft.Management and Microsoft.Subscription.

// ManagementGroupNotFound: the tenant has no group of that name.
func ManagementGroupNotFound(name string) *Error {
	return missing("ManagementGroupNotFound", fmt.Sprintf("The management group '%s' cannot be found.", name))
}

// InvalidManagementGroupName: the rule of the name is in the text.
func InvalidManagementGroupName(name string) *Error {
	return bad("InvalidGroupId", fmt.Sprintf("The management group id '%s' is invalid: it must have 1 to 90 letters, digits, '_', '-', '.', '(' or ')' and may not end with a period.", name))
}

// ManagementGroupNotEmpty: what has children cannot be deleted.
func ManagementGroupNotEmpty(name string) *Error {
	return bad("GroupHasChildren", fmt.Sprintf("The management group '%s' cannot be deleted because it has children. Move or delete its subscriptions and management groups first.", name))
}

// RootManagementGroupImmutable: the tenant's root group stays where it is.
func RootManagementGroupImmutable(name string) *Error {
	return bad("RootGroupImmutable", fmt.Sprintf("The management group '%s' is the root of the tenant and can be neither moved nor deleted.", name))
}

// ManagementGroupCircle: a group was to be put below itself.
func ManagementGroupCircle(name, parent string) *Error {
	return bad("HierarchyLoop", fmt.Sprintf("The management group '%s' cannot be moved under '%s', which is the group itself or below it.", name, parent))
}

// ManagementGroupTooDeep: limit is the number of levels below the root.
func ManagementGroupTooDeep(limit int) *Error {
	return bad("HierarchyDepthExceeded", fmt.Sprintf("The tree of management groups can have %d levels below the root.", limit))
}

// SubscriptionNotUnderManagementGroup: it is, but in another group.
func SubscriptionNotUnderManagementGroup(subscription, group string) *Error {
	return missing("SubscriptionNotFound", fmt.Sprintf("The subscription '%s' is not in the management group '%s'.", subscription, group))
}

// SubscriptionAliasNotFound: no alias of that name.
func SubscriptionAliasNotFound(name string) *Error {
	return missing("SubscriptionAliasNotFound", fmt.Sprintf("The subscription alias '%s' could not be found.", name))
}

// SubscriptionAliasConflict: an alias stands for one subscription for ever.
func SubscriptionAliasConflict(name, subscription string) *Error {
	return conflict("AliasConflict", fmt.Sprintf("The subscription alias '%s' stands for the subscription '%s' already and cannot be changed.", name, subscription))
}

// InvalidSubscriptionRequest: why names the member.
func InvalidSubscriptionRequest(why string) *Error {
	return bad("BadRequest", why)
}

// SubscriptionStateConflict: cancel of what is canceled, enable of what is enabled.
func SubscriptionStateConflict(subscription, state string) *Error {
	return &Error{Status: http.StatusConflict, Code: "SubscriptionStateConflict", Message: fmt.Sprintf("The subscription '%s' is in the state '%s'.", subscription, state)}
}
