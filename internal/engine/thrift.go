package engine

import "encoding/binary"

// Types of Thrift's compact protocol.
const (
	thriftStop   = 0
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
)

// thrift reads Thrift's compact protocol as far as Parquet uses it. After what
// it cannot read it is bad, and everything it reads is empty. It is read by hand
// because a Parquet library would copy a footer's statistics, which are values of
// rows, into memory of its own, and because a child wrote the footer: nothing in
// it may cost more than its bytes.
type thrift struct {
	rest []byte
	bad  bool
}

func (t *thrift) fail() {
	t.bad, t.rest = true, nil
}

func (t *thrift) byte() byte {
	if len(t.rest) == 0 {
		t.fail()
		return 0
	}
	b := t.rest[0]
	t.rest = t.rest[1:]
	return b
}

func (t *thrift) varint() uint64 {
	v, n := binary.Uvarint(t.rest)
	if n <= 0 {
		t.fail()
		return 0
	}
	t.rest = t.rest[n:]
	return v
}

func (t *thrift) zigzag() int64 {
	v := t.varint()
	return int64(v>>1) ^ -int64(v&1)
}

func (t *thrift) pass(n uint64) {
	if n > uint64(len(t.rest)) {
		t.fail()
		return
	}
	t.rest = t.rest[n:]
}

// bytes is what a binary or a string has, inside the input.
func (t *thrift) bytes() []byte {
	n := t.varint()
	before := t.rest
	t.pass(n)
	if t.bad {
		return nil
	}
	return before[:n:n]
}

// structure gives each field of a structure to use, which must read or skip it.
func (t *thrift) structure(use func(field int16, kind byte)) {
	field := int16(0)
	for {
		head := t.byte()
		kind := head & 15
		if t.bad || kind == thriftStop {
			return
		}
		if delta := head >> 4; delta != 0 {
			field += int16(delta)
		} else {
			field = int16(t.zigzag())
		}
		use(field, kind)
	}
}

// structures gives each field of each structure of a list to use.
func (t *thrift) structures(use func(field int16, kind byte)) {
	kind, n := t.list()
	if kind != thriftStruct {
		t.fail()
		return
	}
	for ; n > 0 && !t.bad; n-- {
		t.structure(use)
	}
}

func (t *thrift) list() (kind byte, n uint64) {
	head := t.byte()
	if n = uint64(head >> 4); n == 15 {
		n = t.varint()
	}
	return head & 15, n
}

// thriftDepth is how deep structures may lie in each other; Parquet's have 6.
const thriftDepth = 16

func (t *thrift) skip(kind byte, depth int) {
	if depth > thriftDepth {
		t.fail()
		return
	}
	switch kind {
	case thriftTrue, thriftFalse:
	case thriftByte:
		t.pass(1)
	case thriftI16, thriftI32, thriftI64:
		t.varint()
	case thriftDouble:
		t.pass(8)
	case thriftBinary:
		t.pass(t.varint())
	case thriftList, thriftSet:
		element, n := t.list()
		for ; n > 0 && !t.bad; n-- {
			t.element(element, depth)
		}
	case thriftMap:
		n := t.varint()
		if n == 0 {
			return
		}
		kinds := t.byte()
		for ; n > 0 && !t.bad; n-- {
			t.element(kinds>>4, depth)
			t.element(kinds&15, depth)
		}
	case thriftStruct:
		t.structure(func(_ int16, kind byte) { t.skip(kind, depth+1) })
	default:
		t.fail()
	}
}

// element skips what a list or a map holds, where a truth takes a byte.
func (t *thrift) element(kind byte, depth int) {
	if kind == thriftTrue || kind == thriftFalse {
		kind = thriftByte
	}
	t.skip(kind, depth+1)
}
