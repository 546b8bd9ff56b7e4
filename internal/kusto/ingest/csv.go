package ingest

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/kustos-io/kustos/internal/catalog"
)

// Options change how a body is read.
type Options struct {
	IgnoreFirstRecord bool
	Mapping           Mapping // empty: by ordinal for the CSV family, by exact name for JSON
}

// ReadCSV reads the CSV family into one batch. Too few fields give nulls,
// extra ones are dropped. The batch is nil when there are no rows.
func ReadCSV(r io.Reader, f Format, t catalog.Table, o Options) (arrow.RecordBatch, error) {
	cr := csv.NewReader(r)
	cr.Comma = f.delimiter()
	cr.FieldsPerRecord = -1
	cr.LazyQuotes = true // a stray quote inside a field is kept, as Kusto does
	cr.ReuseRecord = true
	ordinals, err := o.Mapping.ordinals(t)
	if err != nil {
		return nil, err
	}
	b := newBuilder(t)
	for first := true; ; first = false {
		record, err := cr.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.record.Release()
			var parse *csv.ParseError
			if errors.As(err, &parse) { // its text holds no field
				return nil, fmt.Errorf("line %d, column %d is not valid %s: %w", parse.Line, parse.Column, f, parse.Err)
			}
			return nil, fmt.Errorf("read %s: %w", f, err)
		}
		if first && o.IgnoreFirstRecord {
			continue
		}
		for i := range t.Columns {
			if at := ordinals[i]; at >= 0 && at < len(record) {
				b.text(i, record[at])
			} else {
				b.null(i)
			}
		}
		b.rows++
	}
	return b.finish()
}

// finish returns the batch, nil when no row was read.
func (b *builder) finish() (arrow.RecordBatch, error) {
	if b.rows == 0 {
		b.record.Release()
		return nil, nil
	}
	return b.batch(), nil
}
