// Package openapi holds the server's answers against the published OpenAPI
// documents: a story calls every operation that is served, at every api-version
// that has a document, also a reconstructed one, and each answer is
// checked for its status, its property names, types, formats and enumerations,
// and for the headers of long-running operations. A member that the document
// does not know is an error, which is why this is not a JSON schema library:
// those ask only what must be there.
//
// An operation of a document that had no validated answer must be in the list of
// refusals, each with its reason, and is called to see that refusal; where an
// answer differs from a document on purpose, the list of differences says what
// shows the service to do so. Neither list may hold what is not seen.
//
// The documents are read from the folder shared/specs beside the repository;
// without it the tests skip.
package openapi
