package engine

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// layout says where the pieces of a Parquet file end: the column chunks, each of
// which holds one column of one row group. It is a hint, for reading ahead, and
// never more: the file was made by a child, so it may say anything.
type layout []int64 // ascending offsets in bytes at which a piece begins or ends

// end is where the piece that holds a byte ends, 0 when that is not known.
func (l layout) end(at int64) int64 {
	i, found := slices.BinarySearch(l, at)
	if found {
		i++
	}
	if i == 0 || i == len(l) {
		return 0
	}
	return l[i]
}

const (
	footerEnd   = 8        // bytes: length of the footer, "PAR1"
	footerLimit = 16 << 20 // of what is parsed
)

// footerBegin is where the footer of a file of size bytes begins, by its last bytes.
func footerBegin(tail []byte, size int64) (int64, bool) {
	if len(tail) < footerEnd || !bytes.HasSuffix(tail, []byte("PAR1")) {
		return 0, false
	}
	n := int64(binary.LittleEndian.Uint32(tail[len(tail)-footerEnd:]))
	return size - footerEnd - n, n <= min(footerLimit, size-footerEnd)
}

// layoutIn is the layout by the last bytes of a file of size bytes, when the
// whole footer is among them.
func layoutIn(tail []byte, size int64) (layout, bool) {
	begin, ok := footerBegin(tail, size)
	if begin -= size - int64(len(tail)); !ok || begin < 0 {
		return nil, false
	}
	return parseLayout(tail[begin : len(tail)-footerEnd]), true
}

// Parquet's metadata in Thrift's compact protocol: the numbers of the fields
// on the way to a column chunk's place, and of those that say it.
const (
	fileRowGroups      = 4
	rowGroupColumns    = 1
	columnMetadata     = 3
	metadataBytes      = 7
	metadataData       = 9
	metadataDictionary = 11
)

// parseLayout reads the column chunks' places out of a footer; nil when it is not one.
func parseLayout(footer []byte) layout {
	t := &thrift{rest: footer}
	var edges layout
	t.structure(func(field int16, kind byte) {
		if field != fileRowGroups || kind != thriftList {
			t.skip(kind, 0)
			return
		}
		t.structures(func(field int16, kind byte) {
			if field != rowGroupColumns || kind != thriftList {
				t.skip(kind, 0)
				return
			}
			t.structures(func(field int16, kind byte) {
				if field != columnMetadata || kind != thriftStruct {
					t.skip(kind, 0)
					return
				}
				begin, n := t.place()
				if begin >= 0 && n > 0 && begin+n > begin {
					edges = append(edges, begin, begin+n)
				}
			})
		})
	})
	if t.bad {
		return nil
	}
	slices.Sort(edges)
	return slices.Compact(edges)
}

// place reads one column chunk's metadata: where it begins and how long it is.
func (t *thrift) place() (begin, n int64) {
	var data, dictionary int64
	t.structure(func(field int16, kind byte) {
		switch {
		case kind != thriftI64:
			t.skip(kind, 0)
		case field == metadataBytes:
			n = t.zigzag()
		case field == metadataData:
			data = t.zigzag()
		case field == metadataDictionary:
			dictionary = t.zigzag()
		default:
			t.zigzag()
		}
	})
	if dictionary > 0 && dictionary < data {
		return dictionary, n
	}
	return data, n
}
