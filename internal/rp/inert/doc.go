// Package inert is a provider for namespaces that are not built: its resources
// are records and nothing more. It exists for templates in which such resources
// are only scenery, is never there unless `kustos up --inert-provider` names the
// namespace, and says what it is wherever it can be seen:
//
//   - every response has the header x-kustos-inert: true,
//   - every resource has the top-level member "kustosInert": true,
//   - in lists every resource has the tag "kustos-inert" with the value "true".
//
// It must never answer an action (listKeys, start): it would be a canned result.
package inert
