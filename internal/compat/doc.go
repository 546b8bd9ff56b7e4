// Package compat keeps docs/compatibility.md true. Its test writes the document
// from the registries of the packages that do the work, and probes every control
// command it names, so that the document cannot claim what does not run. When
// the test says that the document is stale, run
//
//	go test ./internal/compat -update
//
// and read the difference.
package compat
