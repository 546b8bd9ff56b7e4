package catalog

import (
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
)

// Type is a column type by its KQL name.
type Type string

// The ten scalar types of KQL.
const (
	Bool     Type = "bool"
	Int      Type = "int"
	Long     Type = "long"
	Real     Type = "real"
	Decimal  Type = "decimal"
	String   Type = "string"
	Datetime Type = "datetime"
	Timespan Type = "timespan"
	GUID     Type = "guid"
	Dynamic  Type = "dynamic"
)

// Storage is the SQL type a column of this type is stored as, "" for an
// unknown type. Datetime and timespan are BIGINT counts of 100 ns ticks,
// datetime since 0001-01-01; dynamic is JSON text.
func (t Type) Storage() string {
	switch t {
	case Bool:
		return "BOOLEAN"
	case Int:
		return "INTEGER"
	case Long, Datetime, Timespan:
		return "BIGINT"
	case Real:
		return "DOUBLE"
	case Decimal:
		return "DECIMAL(38,18)"
	case String, Dynamic:
		return "VARCHAR"
	case GUID:
		return "UUID"
	}
	return ""
}

// Arrow is the Arrow type in which batches carry a column of this type, nil
// for an unknown type. A guid travels as its 36-character lower-case text.
func (t Type) Arrow() arrow.DataType {
	switch t {
	case Bool:
		return arrow.FixedWidthTypes.Boolean
	case Int:
		return arrow.PrimitiveTypes.Int32
	case Long, Datetime, Timespan:
		return arrow.PrimitiveTypes.Int64
	case Real:
		return arrow.PrimitiveTypes.Float64
	case Decimal:
		return &arrow.Decimal128Type{Precision: 38, Scale: 18}
	case String, Dynamic, GUID:
		return arrow.BinaryTypes.String
	}
	return nil
}

// Nullable says whether the type has a null: every type but string, whose
// missing value is the empty string.
func (t Type) Nullable() bool { return t != String }

// Physical is the column's name in extents, buffers and batches: "c7". The
// user's name never gets there.
func (c Column) Physical() string { return "c" + strconv.Itoa(c.ID) }

// Schema is the Arrow schema of batches for the table: one field per column,
// in the table's order, under the physical names.
func (t Table) Schema() *arrow.Schema {
	fields := make([]arrow.Field, len(t.Columns))
	for i, c := range t.Columns {
		fields[i] = arrow.Field{Name: c.Physical(), Type: c.Type.Arrow(), Nullable: c.Type.Nullable()}
	}
	return arrow.NewSchema(fields, nil)
}
