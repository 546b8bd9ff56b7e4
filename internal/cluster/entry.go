package cluster

import (
	"encoding/binary"
	"errors"

	"github.com/kustos-io/kustos/internal/ids"
)

// Kinds of log records. A record is: kind, 1 byte | table id, 16 bytes |
// sequence number, 8 bytes, big endian | payload.
const (
	kindRows  = 1 // payload: an Arrow IPC stream
	kindAbort = 2 // no payload: the rows of that number were refused and do not count

	recordHeader = 1 + 16 + 8
)

var errRecord = errors.New("log record is malformed")

// entry is one record of the log.
type entry struct {
	kind    byte
	tableID string
	seq     uint64
	payload []byte
}

func (e entry) encode() ([]byte, error) {
	id, err := ids.ParseGUID(e.tableID)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, recordHeader+len(e.payload))
	b = append(b, e.kind)
	b = append(b, id[:]...)
	b = binary.BigEndian.AppendUint64(b, e.seq)
	return append(b, e.payload...), nil
}

func decodeEntry(b []byte) (entry, error) {
	if len(b) < recordHeader || b[0] != kindRows && b[0] != kindAbort {
		return entry{}, errRecord
	}
	return entry{
		kind: b[0], tableID: ids.FormatGUID([16]byte(b[1:17])),
		seq: binary.BigEndian.Uint64(b[17:]), payload: b[recordHeader:],
	}, nil
}
