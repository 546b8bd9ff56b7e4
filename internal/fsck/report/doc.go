// Package report is what a verification found, as it travels from a server to a
// command and is printed. It must never say that something is sound that was not
// verified.
package report
