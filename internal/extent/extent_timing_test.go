package extent

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/kustos-io/kustos/internal/envelope"
)

const benchBytes = 64 << 20

func BenchmarkWrite(b *testing.B) {
	payload, dek := make([]byte, benchBytes), envelope.NewDEK()
	b.SetBytes(benchBytes)
	for b.Loop() {
		if err := Write(io.Discard, testHeader(benchBytes), dek, bytes.NewReader(payload)); err != nil {
			b.Fatal(err)
		}
	}
}

func benchReader(b *testing.B) *Reader {
	b.Helper()
	dek := envelope.NewDEK()
	r, err := openBytes(b, build(b, testHeader(benchBytes), dek, make([]byte, benchBytes), ChunkSize)).Reader(dek)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

func BenchmarkCopyTo(b *testing.B) {
	r := benchReader(b)
	b.SetBytes(benchBytes)
	for b.Loop() {
		if err := r.CopyTo(context.Background(), io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadAtOneChunk(b *testing.B) {
	r := benchReader(b)
	buf := make([]byte, ChunkSize)
	b.SetBytes(ChunkSize)
	for i := int64(0); b.Loop(); i++ {
		if _, err := r.ReadAt(buf, i%1000*ChunkSize); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadAtFewBytes(b *testing.B) {
	r := benchReader(b)
	buf := make([]byte, 64)
	for i := int64(0); b.Loop(); i++ {
		if _, err := r.ReadAt(buf, i%1000*ChunkSize); err != nil {
			b.Fatal(err)
		}
	}
}
