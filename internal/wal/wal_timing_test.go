package wal

import (
	"fmt"
	"sync"
	"testing"
)

// BenchmarkAppend: what one fsync costs, alone and shared.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			l := open(b, newConfig(b))
			record := make([]byte, 1000)
			b.SetBytes(int64(len(record) * writers))
			for b.Loop() {
				var wg sync.WaitGroup
				for range writers {
					wg.Go(func() {
						if err := l.Append(ctx, record); err != nil {
							b.Error(err)
						}
					})
				}
				wg.Wait()
			}
		})
	}
}

func BenchmarkReplay(b *testing.B) {
	cfg := newConfig(b)
	l := open(b, cfg)
	for range 64 {
		must(b, l.Append(ctx, make([]byte, 1<<20)))
	}
	must(b, l.Close())
	b.SetBytes(64 << 20)
	for b.Loop() {
		if got, _, err := recoverAll(b, cfg); err != nil || len(got) != 64 {
			b.Fatal(len(got), err)
		}
	}
}
