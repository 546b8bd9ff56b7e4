//go:build cgo

package duckdb

import (
	"crypto/rand"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/envelope"
)

// What a read of plaintext costs, by processor time of parent and child
// together (both are this process), in ms for 100 MB: from a file in memory in
// clear, and from an encrypted extent at the first touch, at the second, at the
// third, which keeps what it reads, and after that. Reads are those of DuckDB: one of 256
// bytes, then the rest of a column's piece.
func BenchmarkTouch(b *testing.B) {
	const size, most = 32 << 20, 800 << 10
	plain, err := engine.NewMemfd("plain")
	must(b, err)
	defer plain.Close()
	content := make([]byte, size)
	rand.Read(content)
	_, err = plain.Write(content)
	must(b, err)
	reader, _ := encrypted(b, plain, envelope.NewDEK())
	ring, err := engine.NewRing(2)
	must(b, err)
	defer ring.Close()
	must(b, hookRing(ring.File()))
	buf := make([]byte, most)
	read := func(f *os.File) time.Duration {
		before := processorTime(b, os.Getpid())
		for at := int64(0); at < size; at += most {
			for _, n := range []int64{256, min(most, size-at) - 256} {
				if got, err := hookedRead(f, buf[:n], at); err != nil || got != int(n) {
					b.Fatalf("read of %d bytes at %d: %d, %v", n, at, got, err)
				}
			}
		}
		return processorTime(b, os.Getpid()) - before
	}
	var clear, first, second, third, hot time.Duration
	for b.Loop() {
		clear += read(plain)
		s, err := engine.NewSparse(reader)
		must(b, err)
		data, ready := s.Files()
		index := ring.Attach(s, nil)
		must(b, hook(data, ready, engine.SparseInfo{Index: index, Shift: 14, Size: s.Size()}))
		first += read(data)
		second += read(data)
		third += read(data)
		hot += read(data)
		must(b, unhook(data))
		ring.Detach(index)
		s.Close()
	}
	for name, d := range map[string]time.Duration{"clear": clear, "first": first, "second": second, "third": third, "hot": hot} {
		b.ReportMetric(d.Seconds()*1000/float64(b.N)*100e6/size, name+"-ms")
	}
	b.ReportMetric(0, "ns/op")
}

// processorTime is what a process has used.
func processorTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	var now unix.Timespec
	must(t, unix.ClockGettime(int32(^pid<<3|2), &now)) // the kernel's name of a process's clock
	return time.Duration(now.Nano())
}
