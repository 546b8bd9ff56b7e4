package extent

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/envelope"
)

const benchBytes = 64 << 20

func eachLayers(b *testing.B, run func(b *testing.B, dek envelope.DEK)) {
	for name, dek := range deks() {
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) { run(b, dek) })
	}
}

func BenchmarkWrite(b *testing.B) {
	eachLayers(b, func(b *testing.B, dek envelope.DEK) {
		payload := make([]byte, benchBytes)
		b.SetBytes(benchBytes)
		for b.Loop() {
			if err := Write(io.Discard, fit(testHeader(benchBytes), dek), dek, bytes.NewReader(payload)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchReader(b *testing.B, dek envelope.DEK) *Reader {
	b.Helper()
	r, err := openBytes(b, build(b, testHeader(benchBytes), dek, make([]byte, benchBytes), ChunkSize)).Reader(dek)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

func BenchmarkCopyTo(b *testing.B) {
	eachLayers(b, func(b *testing.B, dek envelope.DEK) {
		r := benchReader(b, dek)
		b.SetBytes(benchBytes)
		for b.Loop() {
			if err := r.CopyTo(context.Background(), io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkReadAtOneChunk(b *testing.B) {
	eachLayers(b, func(b *testing.B, dek envelope.DEK) {
		r := benchReader(b, dek)
		buf := make([]byte, ChunkSize)
		b.SetBytes(ChunkSize)
		for i := int64(0); b.Loop(); i++ {
			if _, err := r.ReadAt(buf, i%1000*ChunkSize); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkReadAtFewBytes(b *testing.B) {
	eachLayers(b, func(b *testing.B, dek envelope.DEK) {
		r := benchReader(b, dek)
		buf := make([]byte, 64)
		for i := int64(0); b.Loop(); i++ {
			if _, err := r.ReadAt(buf, i%1000*ChunkSize); err != nil {
				b.Fatal(err)
			}
		}
	})
}
