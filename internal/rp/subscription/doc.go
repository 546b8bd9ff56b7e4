// Package subscription is the provider of Microsoft.Subscription: aliases, by
// which a subscription is made, and its rename, cancel and enable. Who makes a
// subscription owns it. There is nothing to pay here: a billing scope is taken
// and remembered with the alias, and means nothing.
package subscription
