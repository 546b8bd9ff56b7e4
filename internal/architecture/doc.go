// Package architecture holds the test that reads the import graph of the whole
// module and fails on an arrow that docs/architecture.md forbids.
package architecture
