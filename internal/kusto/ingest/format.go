package ingest

import (
	"fmt"
	"strings"
)

// Format is a data format by its lower-case Kusto name.
type Format string

// The formats that are built.
const (
	CSV       Format = "csv"
	TSV       Format = "tsv"
	PSV       Format = "psv"
	SCSV      Format = "scsv"
	JSON      Format = "json"
	MultiJSON Format = "multijson"
	Parquet   Format = "parquet"
)

// ParseFormat reads a format name without case; "" is CSV. Formats that Kusto
// has and that are not built are refused by name, as are unknown ones.
func ParseFormat(name string) (Format, error) {
	switch f := Format(strings.ToLower(name)); f {
	case "":
		return CSV, nil
	case CSV, TSV, PSV, SCSV, JSON, MultiJSON, Parquet:
		return f, nil
	case "singlejson":
		return MultiJSON, nil
	case "avro", "apacheavro", "orc", "raw", "sohsv", "sstream", "tsve", "txt", "w3clogfile", "azmonstream":
		return "", fmt.Errorf("data format '%s' is not supported here; csv, tsv, psv, scsv, json, multijson and parquet are", name)
	}
	return "", fmt.Errorf("'%s' is not a data format", name)
}

// delimiter is the field separator of the CSV family, 0 for other formats.
func (f Format) delimiter() rune {
	switch f {
	case CSV:
		return ','
	case TSV:
		return '\t'
	case PSV:
		return '|'
	case SCSV:
		return ';'
	}
	return 0
}
