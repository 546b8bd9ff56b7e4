package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

// trial is a source over a Parquet file of our own. Chunks from refuse on do
// not verify.
type trial struct {
	file   *os.File
	size   int64
	refuse atomic.Int64
}

const trialChunk = 4 << 10

var errTrial = errors.New("chunk that was made to fail")

func (t *trial) Size() int64    { return t.size }
func (t *trial) ChunkSize() int { return trialChunk }

func (t *trial) Chunks(first, last int64, use func(int64, []byte) error) error {
	buf := make([]byte, trialChunk)
	for i := first; i <= last; i++ {
		if i >= t.refuse.Load() {
			return errTrial
		}
		n, err := t.file.ReadAt(buf, i*trialChunk)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err := use(i, buf[:n]); err != nil {
			return err
		}
	}
	return nil
}

// trySparse finds out whether decrypting on read works in this child: the read
// hook depends on how the binary was linked and on how DuckDB reads files. Cold
// chunks must be had, those that were not kept and evicted ones again, and one
// that does not verify must be an error. Otherwise a hole would be read as zeros.
func trySparse(ctx context.Context, c Child) error {
	// A column of 960 KB, of which a thread's buffer holds at most the last 512
	// after a scan: whoever reads it again has to ask.
	const rows = 120_000
	out, err := NewMemfd("trial")
	if err != nil {
		return err
	}
	defer out.Close()
	export := Statement{SQL: fmt.Sprintf("SELECT range::BIGINT AS c1, hash(range) AS c2 FROM range(%d)", rows)}
	if _, err := c.Export(ctx, export, out); err != nil {
		return fmt.Errorf("try decrypting on read: %w", err)
	}
	info, err := out.Stat()
	if err != nil {
		return fmt.Errorf("try decrypting on read: %w", err)
	}
	source := &trial{file: out, size: info.Size()}
	source.refuse.Store(info.Size()) // none
	s, err := NewSparse(source)
	if err != nil {
		return fmt.Errorf("try decrypting on read: %w", err)
	}
	defer s.Close()
	const id = "trial"
	if err := c.OpenSparse(ctx, id, s, nil); err != nil {
		return fmt.Errorf("try decrypting on read: %w", err)
	}
	defer c.CloseExtent(context.WithoutCancel(ctx), id)
	// Twice pieces come through the ring, the third time they are kept.
	for _, when := range []string{"cold", "again", "once more", "evicted"} {
		if when == "evicted" {
			if _, err := s.Evict(1, 0); err != nil {
				return fmt.Errorf("try decrypting on read: %w", err)
			}
		}
		before := s.Decrypted()
		if err := askTrial(ctx, c, id, rows); err != nil {
			return fmt.Errorf("try decrypting on read, %s: %w", when, err)
		}
		if s.Decrypted() == before {
			return fmt.Errorf("try decrypting on read, %s: nothing was asked for", when)
		}
	}
	if _, err := s.Evict(1, 0); err != nil {
		return fmt.Errorf("try decrypting on read: %w", err)
	}
	source.refuse.Store(1) // everything but the first chunk
	var fault *Fault
	if err := askTrial(ctx, c, id, rows); !errors.As(err, &fault) || fault.Kind != BadData {
		return fmt.Errorf("try decrypting on read: a chunk that does not verify gave %v", err)
	}
	return nil
}

// askTrial checks the rows.
func askTrial(ctx context.Context, c Child, id string, rows int64) error {
	result, err := c.Query(ctx, Statement{
		SQL:     fmt.Sprintf("SELECT 1 FROM read_parquet(['{{extent:%[1]s}}']) HAVING count(*) = %[2]d AND sum(c1) = %[3]d AND bit_xor(c2) = (SELECT bit_xor(hash(range)) FROM range(%[2]d))", id, rows, rows*(rows-1)/2),
		Extents: []string{id},
	})
	if err != nil {
		return err
	}
	defer result.Close()
	var n int64
	for result.Next() {
		n += result.RecordBatch().NumRows()
	}
	if err := result.Err(); err != nil {
		return err
	}
	if n != 1 {
		return errors.New("wrong answer")
	}
	return nil
}
