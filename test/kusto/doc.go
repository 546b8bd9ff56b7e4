// Package kusto runs the data plane of a real server: values through the engine
// and back, and every command with a query behind it.
package kusto
