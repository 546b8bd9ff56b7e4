package engine

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Op names a command of the parent.
type Op string

// The commands. Every request but Cancel gets exactly one reply.
const (
	OpStart  Op = "start"  // Config, one file: the ring; first request, once
	OpPing   Op = "ping"   //
	OpOpen   Op = "open"   // Name = extent id, one file; with Sparse two: data, words
	OpClose  Op = "close"  // Name = extent id
	OpCreate Op = "create" // Name = buffer, Columns
	OpAppend Op = "append" // Name = buffer, one file: an Arrow IPC stream
	OpDrop   Op = "drop"   // Name = buffer
	OpLoad   Op = "load"   // Name = hot table, Columns, Statement, Most = bytes
	OpUnload Op = "unload" // Name = hot table
	OpQuery  Op = "query"  // Statement, one file: the socket for the Arrow IPC stream
	OpExport Op = "export" // Statement, one file: the memfd to write
	OpImport Op = "import" // Import, two files: read, write
	OpCancel Op = "cancel" // Target = id of the request to interrupt
)

// Request is one command on the control socket.
type Request struct {
	ID      uint64
	Op      Op
	Name    string      `json:",omitempty"`
	Target  uint64      `json:",omitempty"`
	Most    int64       `json:",omitempty"`
	Config  *Config     `json:",omitempty"`
	Columns []Column    `json:",omitempty"`
	Import  *Import     `json:",omitempty"`
	Sparse  *SparseInfo `json:",omitempty"`
	SQL     string      `json:",omitempty"`
	Params  []Param     `json:",omitempty"`
	Extents []string    `json:",omitempty"`
}

// SparseInfo says how an extent that is decrypted on read is asked for.
type SparseInfo struct {
	Index uint32 // under which the ring knows it
	Shift uint   // of the chunk size
	Size  int64
}

// Reply is the answer to one request. The reply to a query comes after its
// stream has ended.
type Reply struct {
	ID    uint64
	Fault *Fault `json:",omitempty"`
	Rows  int64  `json:",omitempty"`
	Bytes int64  `json:",omitempty"`
	Info  *Info  `json:",omitempty"`
}

// Param is a parameter that keeps its type through JSON.
type Param struct{ Value any }

type wireParam struct {
	T string          // "n", "b", "i", "l", "f", "s"
	V json.RawMessage `json:",omitempty"`
}

// MarshalJSON writes the type next to the value; floats travel as their bits,
// since JSON has no infinities.
func (p Param) MarshalJSON() ([]byte, error) {
	w := wireParam{}
	var v any
	switch x := p.Value.(type) {
	case nil:
		w.T = "n"
	case bool:
		w.T, v = "b", x
	case int32:
		w.T, v = "i", x
	case int:
		w.T, v = "l", strconv.Itoa(x)
	case int64:
		w.T, v = "l", strconv.FormatInt(x, 10)
	case float64:
		w.T, v = "f", strconv.FormatUint(math.Float64bits(x), 10)
	case string:
		// As bytes: a string of KQL may hold what is not valid UTF-8.
		w.T, v = "s", []byte(x)
	default:
		return nil, fmt.Errorf("parameter of type %T", p.Value)
	}
	if v != nil {
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		w.V = raw
	}
	return json.Marshal(w)
}

// UnmarshalJSON reverses MarshalJSON; an int comes back as int64.
func (p *Param) UnmarshalJSON(data []byte) error {
	var w wireParam
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	number := func() (string, error) {
		var s string
		err := json.Unmarshal(w.V, &s)
		return s, err
	}
	switch w.T {
	case "n":
		p.Value = nil
		return nil
	case "b":
		var b bool
		err := json.Unmarshal(w.V, &b)
		p.Value = b
		return err
	case "i":
		var i int32
		err := json.Unmarshal(w.V, &i)
		p.Value = i
		return err
	case "l":
		s, err := number()
		if err != nil {
			return err
		}
		i, err := strconv.ParseInt(s, 10, 64)
		p.Value = i
		return err
	case "f":
		s, err := number()
		if err != nil {
			return err
		}
		bits, err := strconv.ParseUint(s, 10, 64)
		p.Value = math.Float64frombits(bits)
		return err
	case "s":
		var b []byte
		err := json.Unmarshal(w.V, &b)
		p.Value = string(b)
		return err
	}
	return fmt.Errorf("parameter of unknown kind %q", w.T)
}
