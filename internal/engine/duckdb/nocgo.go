//go:build !cgo

package duckdb

import (
	"context"
	"errors"
)

// Main refuses: without cgo there is no DuckDB in the binary.
func Main(context.Context) error {
	return errors.New("this binary was built without cgo and has no query engine")
}
