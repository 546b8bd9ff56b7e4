package engine

import "fmt"

// givenChunks is the most chunks that one request gives in a buffer.
const givenChunks = 64

// Whole says which chunks a reader takes as a whole, if any (First > Last:
// none), and where it can get them.
type Whole struct {
	First, Last int64
	// Into is memory that the reader sees; chunk i of a request goes to i chunks
	// from its begin. It is only written to.
	Into []byte
}

// Deliver makes the chunks first to last readable. A chunk that the reader
// takes as a whole is given into its buffer the first time it is asked for, and
// kept only when it is asked for again: a page of memory that is new costs more
// than decrypting into it, and most of a large scan is read once. Of the other
// chunks, the ends of pieces that are read bit by bit, all become ready. Bit i of
// given says that chunk first+i is in the buffer. When one chunk cannot be had
// the error is the source's and nothing is given.
func (s *Sparse) Deliver(first, last int64, whole Whole) (given uint64, err error) {
	s.guard.RLock()
	defer s.guard.RUnlock()
	if s.closed {
		return 0, ErrDenied
	}
	if first < 0 || first > last || last >= s.chunks {
		return 0, fmt.Errorf("chunks %d to %d of an extent of %d", first, last, s.chunks)
	}
	whole.Last = min(whole.Last, last, first+min(givenChunks, int64(len(whole.Into))>>s.shift)-1)
	whole.First = max(whole.First, first)
	for from := first; from <= last; {
		to := min(last, from|(lockedChunks-1))
		run, err := s.meet(from, to, Whole{whole.First, whole.Last, whole.Into[min(int64(len(whole.Into)), (from-first)<<s.shift):]})
		if err != nil {
			s.failure.Store(&err)
			s.failures.Add(1)
			return 0, err
		}
		if run != 0 {
			given |= run << (from - first)
		}
		from = to + 1
	}
	return given, nil
}

// meet is Deliver for chunks that share a lock; whole lies in them or is empty.
func (s *Sparse) meet(from, to int64, whole Whole) (given uint64, err error) {
	group := from / lockedChunks
	s.locks[group].Lock()
	defer s.locks[group].Unlock()
	// wants says what becomes of a chunk.
	wants := func(i int64) want {
		switch {
		case s.words[i].Load()&1 == 1:
			return nothing
		case i >= whole.First && i <= whole.Last && s.seen[group]>>(i%lockedChunks)&1 == 0:
			return gift
		}
		return place
	}
	for at := from; at <= to; {
		what, end := wants(at), at
		for end < to && wants(end+1) == what {
			end++
		}
		use := s.keep
		switch what {
		case nothing:
			at = end + 1
			continue
		case gift:
			use = func(index int64, payload []byte) error {
				copy(whole.Into[(index-from)<<s.shift:], payload)
				s.filled.Add(int64(len(payload)))
				for i, n := index, s.span(payload); i <= index+n; i++ {
					given |= 1 << (i - from)
					s.seen[group] |= 1 << (i % lockedChunks)
				}
				return nil
			}
		}
		if err := s.source.Chunks(at, end, use); err != nil {
			return 0, err
		}
		at = end + 1
	}
	return given, nil
}

type want int

const (
	nothing want = iota // it is there
	gift                // into the buffer
	place               // into the memfd
)

// span is by how many the last chunk's index is beyond the first's.
func (s *Sparse) span(payload []byte) int64 { return (int64(len(payload)) - 1) >> s.shift }

// keep puts verified chunks where readers find them, then says that they are there.
func (s *Sparse) keep(index int64, payload []byte) error {
	if _, err := s.data.WriteAt(payload, index<<s.shift); err != nil {
		return fmt.Errorf("fill extent: %w", err)
	}
	for i, n := index, s.span(payload); i <= index+n; i++ {
		s.words[i].Store(s.words[i].Load() | 1)
	}
	s.resident.Add(int64(len(payload)))
	s.filled.Add(int64(len(payload)))
	return nil
}
