// Package arm is the front door of Azure Resource Manager. A [Front] is the
// http.Handler of management.azure.com and, for calls from inside (deployments,
// one provider that reads another), a provider.Dispatcher: both ways run the
// same steps after parsing.
//
// The steps, in this order: api-version present and well formed → bearer token
// → subscription → namespace, type and version known → caller authorised →
// namespace registered → resource group there → not locked → body well formed →
// provider.
// A provider's Handle therefore starts with a request that was admitted.
//
// Routes that ARM itself owns (/subscriptions, resource groups, lists of
// resources, providers) are given an id in the namespace Microsoft.Resources,
// for example Microsoft.Resources/subscriptions/{s}/resourceGroups/{g}, so that
// they are served by a provider like any other.
//
// It must never let a caller choose first-party authority, must never log a
// body or a token, and must admit nothing that the Authorizer did not allow.
package arm
