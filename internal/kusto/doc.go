// Package kusto is the data plane of Kusto clusters: v1 and v2 query, control
// commands, streaming ingestion and the login metadata, shaped byte for byte
// as the SDKs need.
//
// A request is authenticated, its cluster found by host name, the caller's
// roles looked up, the text compiled, and the plan handed to the cluster
// runtime; rows are written as they come. The package must never send a user's
// text to the engine, never log a query with its literals, and never answer
// rows of a cluster whose key is away.
package kusto
