package cluster

import (
	"bytes"
	"testing"
)

func FuzzEntry(f *testing.F) {
	for _, e := range []entry{{kindRows, testCluster, 1, []byte("rows")}, {kindAbort, testCluster, 1 << 40, nil}} {
		b, err := e.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{3})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEntry(b)
		if err != nil {
			return
		}
		again, err := e.encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x was read as %+v, which is written as %x, %v", b, e, again, err)
		}
	})
}
