//go:build cgo

package duckdb

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/kustos-io/kustos/internal/engine"
)

// ticksAtEpoch is 1970-01-01 in ticks of 100 ns since 0001-01-01.
const ticksAtEpoch = "621355968000000000"

// importParquet converts a foreign Parquet file to a table's storage types.
func (d *database) importParquet(ctx context.Context, in *os.File, spec engine.Import, out *os.File) (int64, error) {
	source := "read_parquet('" + descriptorPath(in) + "')"
	types, err := d.describe(ctx, source)
	if err != nil {
		return 0, err
	}
	parts := make([]string, len(spec.Columns))
	for i, c := range spec.Columns {
		expr := "NULL"
		from := ""
		if c.Source != "" {
			name, duckType, ok := types.find(c.Source)
			if !ok {
				return 0, badData("the file has no column for " + c.Name)
			}
			expr, from = identifier(name), duckType
		}
		expr, err := convert(expr, from, c.Type)
		if err != nil {
			return 0, badData(fmt.Sprintf("column %s: %v", c.Name, err))
		}
		parts[i] = expr + " AS " + identifier(c.Name)
	}
	if len(parts) == 0 {
		return 0, badCommand("import of no columns")
	}
	return d.export(ctx, "SELECT "+strings.Join(parts, ", ")+" FROM "+source, nil, out)
}

// fileColumns are the columns of a Parquet file in their order.
type fileColumns struct{ names, types []string }

// find looks for the exact name first, then for one that differs in case only.
func (f *fileColumns) find(name string) (found, duckType string, ok bool) {
	for i, n := range f.names {
		if n == name {
			return n, f.types[i], true
		}
	}
	for i, n := range f.names {
		if strings.EqualFold(n, name) {
			return n, f.types[i], true
		}
	}
	return "", "", false
}

func (f *fileColumns) start(*arrow.Schema) error { return nil }

func (f *fileColumns) rows(batch arrow.RecordBatch) error {
	for i := range int(batch.NumRows()) {
		// The batch's strings lie in DuckDB's memory and end with it.
		f.names = append(f.names, strings.Clone(batch.Column(0).ValueStr(i)))
		f.types = append(f.types, strings.Clone(batch.Column(1).ValueStr(i)))
	}
	return nil
}

func (d *database) describe(ctx context.Context, source string) (*fileColumns, error) {
	var found fileColumns
	err := d.query(ctx, "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM "+source+")", nil, &found)
	if err != nil {
		return nil, err
	}
	return &found, nil
}

// convert is the SQL that turns an expression of a DuckDB type into the
// storage of a KQL type. What cannot be read as the type becomes null, as in
// every ingestion; a pair of types that has no meaning is refused.
func convert(expr, duckType, kqlType string) (string, error) {
	if duckType == "" {
		if kqlType == "string" {
			return "''", nil
		}
		storage, ok := storageTypes[kqlType]
		if !ok {
			return "", fmt.Errorf("unknown type %q", kqlType)
		}
		return "CAST(NULL AS " + storage + ")", nil
	}
	from := family(duckType)
	if c, ok := conversions[kqlType+"←"+from]; ok {
		return strings.ReplaceAll(c, "@", expr), nil
	}
	if _, ok := storageTypes[kqlType]; !ok {
		return "", fmt.Errorf("unknown type %q", kqlType)
	}
	return "", fmt.Errorf("%s cannot be made from %s", kqlType, from)
}

var storageTypes = map[string]string{
	"bool": "BOOLEAN", "int": "INTEGER", "long": "BIGINT", "real": "DOUBLE", "decimal": "DECIMAL(38,18)",
	"string": "VARCHAR", "datetime": "BIGINT", "timespan": "BIGINT", "guid": "UUID", "dynamic": "VARCHAR",
}

// family groups DuckDB's types by how they convert.
func family(duckType string) string {
	base, _, _ := strings.Cut(duckType, "(")
	switch {
	case strings.HasSuffix(duckType, "]"), base == "STRUCT", base == "MAP", base == "LIST", base == "UNION":
		return "nested"
	}
	switch base {
	case "BOOLEAN":
		return "bool"
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT", "UHUGEINT":
		return "integer"
	case "FLOAT", "DOUBLE":
		return "float"
	case "DECIMAL":
		return "decimal"
	case "VARCHAR", "JSON", "ENUM":
		return "text"
	case "UUID":
		return "uuid"
	case "TIMESTAMP_NS":
		return "nanoseconds"
	case "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_MS", "TIMESTAMP_S":
		return "timestamp"
	case "TIME", "TIME_NS", "TIME WITH TIME ZONE":
		return "time"
	case "INTERVAL":
		return "interval"
	}
	return duckType
}

const (
	microsToTicks = "(epoch_us(CAST(@ AS TIMESTAMP)) * 10 + " + ticksAtEpoch + ")"
	// Both // and % cut towards zero; ticks are counted from far below.
	nanosToTicks = "((epoch_ns(@) - ((epoch_ns(@) % 100) + 100) % 100) // 100 + " + ticksAtEpoch + ")"
	isoText      = "strftime(CAST(@ AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%f') || '0Z'"
	// try_cast alone would round '1.5' to 2.
	textToInteger = "CASE WHEN regexp_full_match(trim(@), '[+-]?[0-9]+') THEN TRY_CAST(trim(@) AS "
)

// conversions are written with @ for the expression. The keys are target ← source family.
var conversions = map[string]string{
	"bool←bool":    "@",
	"bool←integer": "(@ <> 0)",
	"bool←text":    "CASE lower(trim(@)) WHEN 'true' THEN true WHEN '1' THEN true WHEN 'false' THEN false WHEN '0' THEN false END",

	"int←bool":    "CAST(@ AS INTEGER)",
	"int←integer": "TRY_CAST(@ AS INTEGER)",
	"int←float":   "TRY_CAST(trunc(@) AS INTEGER)",
	"int←decimal": "TRY_CAST(trunc(@) AS INTEGER)",
	"int←text":    textToInteger + "INTEGER) END",

	"long←bool":    "CAST(@ AS BIGINT)",
	"long←integer": "TRY_CAST(@ AS BIGINT)",
	"long←float":   "TRY_CAST(trunc(@) AS BIGINT)",
	"long←decimal": "TRY_CAST(trunc(@) AS BIGINT)",
	"long←text":    textToInteger + "BIGINT) END",

	"real←bool":    "CAST(@ AS DOUBLE)",
	"real←integer": "CAST(@ AS DOUBLE)",
	"real←float":   "CAST(@ AS DOUBLE)",
	"real←decimal": "CAST(@ AS DOUBLE)",
	"real←text":    "TRY_CAST(trim(@) AS DOUBLE)",

	"decimal←integer": "TRY_CAST(@ AS DECIMAL(38,18))",
	"decimal←float":   "TRY_CAST(@ AS DECIMAL(38,18))",
	"decimal←decimal": "TRY_CAST(@ AS DECIMAL(38,18))",
	"decimal←text":    "TRY_CAST(trim(@) AS DECIMAL(38,18))",

	"string←bool":        "coalesce(CAST(@ AS VARCHAR), '')",
	"string←integer":     "coalesce(CAST(@ AS VARCHAR), '')",
	"string←float":       "coalesce(CAST(@ AS VARCHAR), '')",
	"string←decimal":     "coalesce(CAST(@ AS VARCHAR), '')",
	"string←text":        "coalesce(CAST(@ AS VARCHAR), '')",
	"string←uuid":        "coalesce(CAST(@ AS VARCHAR), '')",
	"string←time":        "coalesce(CAST(@ AS VARCHAR), '')",
	"string←timestamp":   "coalesce(" + isoText + ", '')",
	"string←nanoseconds": "coalesce(" + isoText + ", '')",
	"string←nested":      "coalesce(CAST(to_json(@) AS VARCHAR), '')",

	"datetime←timestamp":   microsToTicks,
	"datetime←nanoseconds": nanosToTicks,
	"datetime←text": "coalesce(" + strings.ReplaceAll(nanosToTicks, "@", "TRY_CAST(@ AS TIMESTAMP_NS)") + ", " +
		strings.ReplaceAll(microsToTicks, "CAST(@", "TRY_CAST(@") + ")",

	"timespan←time":     "(epoch_us(CAST(@ AS TIME)) * 10)",
	"timespan←interval": "(CAST(epoch_us(@) AS BIGINT) * 10)",

	"guid←uuid": "@",
	"guid←text": "TRY_CAST(trim(@) AS UUID)",

	"dynamic←bool":    "CAST(to_json(@) AS VARCHAR)",
	"dynamic←integer": "CAST(to_json(@) AS VARCHAR)",
	"dynamic←float":   "CASE WHEN isfinite(@) THEN CAST(to_json(@) AS VARCHAR) END",
	"dynamic←decimal": "CAST(to_json(@) AS VARCHAR)",
	"dynamic←nested":  "CAST(to_json(@) AS VARCHAR)",
	"dynamic←uuid":    "CAST(to_json(CAST(@ AS VARCHAR)) AS VARCHAR)",
	// Text that is JSON stays as it is; other text is a JSON string.
	"dynamic←text":        "CASE WHEN @ IS NULL THEN NULL WHEN json_valid(CAST(@ AS VARCHAR)) THEN CAST(@ AS VARCHAR) ELSE CAST(to_json(CAST(@ AS VARCHAR)) AS VARCHAR) END",
	"dynamic←timestamp":   "CAST(to_json(" + isoText + ") AS VARCHAR)",
	"dynamic←nanoseconds": "CAST(to_json(" + isoText + ") AS VARCHAR)",
}
