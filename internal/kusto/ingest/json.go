package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/kustos-io/kustos/internal/catalog"
)

// ReadJSON reads json (one object per line) or multijson (objects one after
// the other, or arrays of them) into one batch. A member that is missing or
// null is null. The batch is nil when there are no rows.
func ReadJSON(r io.Reader, t catalog.Table, o Options) (arrow.RecordBatch, error) {
	paths, err := o.Mapping.paths(t)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(r)
	dec.UseNumber()
	b := newBuilder(t)
	for {
		var v json.RawMessage
		if err := dec.Decode(&v); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			b.record.Release()
			return nil, jsonError(err, dec.InputOffset())
		}
		if err := b.value(v, paths); err != nil {
			b.record.Release()
			return nil, fmt.Errorf("record %d, before offset %d: %w", b.rows+1, dec.InputOffset(), err)
		}
	}
	return b.finish()
}

// jsonError says where the text stops being JSON, without repeating any of it.
func jsonError(err error, offset int64) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = syntax.Offset
	}
	return fmt.Errorf("the data is not valid JSON at offset %d", offset)
}

// value appends an object as a row, or every object of an array.
func (b *builder) value(v json.RawMessage, paths []path) error {
	v = bytes.TrimSpace(v)
	switch v[0] {
	case '{':
		var members map[string]json.RawMessage
		if err := json.Unmarshal(v, &members); err != nil {
			return errors.New("the object is not valid JSON")
		}
		for i := range b.table.Columns {
			b.json(i, paths[i].find(v, members))
		}
		b.rows++
		return nil
	case '[':
		var items []json.RawMessage
		if err := json.Unmarshal(v, &items); err != nil {
			return errors.New("the array is not valid JSON")
		}
		for _, item := range items {
			if err := b.value(item, paths); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("a record must be a JSON object")
}

// json appends one JSON value to column i; nil is a missing member.
func (b *builder) json(i int, v json.RawMessage) {
	v = bytes.TrimSpace(v)
	if len(v) == 0 || string(v) == "null" {
		b.null(i)
		return
	}
	t := b.table.Columns[i].Type
	if t == catalog.Dynamic {
		b.columns[i].(*array.StringBuilder).Append(clipDynamic(v))
		return
	}
	if v[0] == '"' {
		var s string
		if json.Unmarshal(v, &s) != nil {
			b.null(i)
			return
		}
		b.text(i, s)
		return
	}
	if t == catalog.Int || t == catalog.Long { // 5.0 and 5e2 are integers in JSON
		if n, err := strconv.ParseFloat(string(v), 64); err == nil && bytes.ContainsAny(v, ".eE") && n == float64(int64(n)) {
			b.text(i, strconv.FormatInt(int64(n), 10))
			return
		}
	}
	b.text(i, string(v)) // numbers, booleans; objects and arrays for string columns
}

// clipDynamic drops insignificant white space.
func clipDynamic(v json.RawMessage) string {
	var buf bytes.Buffer
	if json.Compact(&buf, v) != nil {
		return dynamicText(string(v))
	}
	return buf.String()
}
