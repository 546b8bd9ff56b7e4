//go:build cgo

package duckdb

import (
	"context"
	"os"

	"github.com/kustos-io/kustos/internal/engine"
)

// parquet is how every extent is written: the fastest and smallest zstd
// setting measured. USE_TMP_FILE must be false, since a memfd has no directory.
const parquet = "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, PARQUET_VERSION V2, ROW_GROUP_SIZE 122880, USE_TMP_FILE false)"

// export writes a statement's result as Parquet into out.
func (d *database) export(ctx context.Context, sql string, params []engine.Param, out *os.File) (int64, error) {
	return d.change(ctx, "COPY ("+sql+") TO '"+descriptorPath(out)+"' "+parquet, params)
}
