// Package openapi holds the server's answers against the published OpenAPI
// documents: a story calls every operation that is served, and each answer is
// checked for its status, its property names, types, formats and enumerations,
// and for the headers of long-running operations. A member that the document
// does not know is an error, which is why this is not a JSON schema library:
// those ask only what must be there.
//
// The documents are read from the folder shared/specs beside the repository;
// without it the tests skip.
package openapi
