package engine

import "fmt"

// givenChunks is the most chunks that one request gives in a buffer: 2 MiB, so that
// most columns' pieces come at once.
const (
	givenWords  = 2
	givenChunks = 64 * givenWords
)

// Given says which chunks are in a buffer: bit i of all is the chunk that goes i chunks
// from its begin.
type Given [givenWords]uint64

func (g *Given) add(i int64) { g[i/64] |= 1 << (i % 64) }

// Buffer is where a reader can be given chunks.
type Buffer struct {
	// Into is memory that the reader sees; chunk i of a request goes to i chunks
	// from its begin. It is only written to.
	Into []byte
	// Begin is the first byte wanted, counted from the begin of the first chunk.
	Begin int64
}

// Deliver makes the chunks first to last readable. A chunk is given into the
// reader's buffer the first times it is asked for, and kept only when it is asked
// for again after that: a page of memory that is new costs more than decrypting into
// it, and most of a large scan is read once. A reader begins with a few bytes of a
// column's piece and takes the rest next, so what follows in the piece is given as
// well, as far as the buffer goes. When one that was asked for cannot be had the error
// is the source's and nothing is given.
func (s *Sparse) Deliver(first, last int64, buffer Buffer) (Given, error) {
	s.guard.RLock()
	defer s.guard.RUnlock()
	if s.closed {
		return Given{}, ErrDenied
	}
	if first < 0 || first > last || last >= s.chunks {
		return Given{}, fmt.Errorf("chunks %d to %d of an extent of %d", first, last, s.chunks)
	}
	g := gifts{first: first, end: first + min(givenChunks, int64(len(buffer.Into))>>s.shift), into: buffer.Into}
	if err := s.each(first, last, func(from, to int64) error { return s.meet(from, to, &g) }); err != nil {
		s.failure.Store(&err)
		s.failures.Add(1)
		return Given{}, err
	}
	if g.given != (Given{}) && last+1 < g.end {
		to := min(g.end-1, s.chunks-1, s.pieceEnd(first<<s.shift+min(max(0, buffer.Begin), 1<<s.shift-1)))
		g.ahead = true
		// Nobody asked for it: the error comes again when somebody does.
		_ = s.each(last+1, to, func(from, to int64) error { return s.meet(from, to, &g) })
	}
	return g.given, nil
}

// each calls use for the chunks from to last, those that share a lock at a time.
func (s *Sparse) each(from, last int64, use func(from, to int64) error) error {
	for from <= last {
		to := min(last, from|(lockedChunks-1))
		if err := use(from, to); err != nil {
			return err
		}
		from = to + 1
	}
	return nil
}

// gifts is what a request gives in its buffer, which begins with chunk first
// and has room up to end.
type gifts struct {
	first, end int64
	into       []byte
	given      Given
	ahead      bool // only what was never asked for, and nothing else
}

// meet is Deliver for chunks that share a lock.
func (s *Sparse) meet(from, to int64, g *gifts) error {
	group := from / lockedChunks
	s.locks[group].Lock()
	defer s.locks[group].Unlock()
	// wants says what becomes of a chunk.
	wants := func(i int64) want {
		switch {
		case s.words[i].Load()&1 == 1:
			return nothing
		case i < g.end && s.seenOf(i) < timesGiven:
			return gift
		case g.ahead:
			return nothing
		}
		return place
	}
	give := func(index int64, payload []byte) error {
		copy(g.into[(index-g.first)<<s.shift:], payload)
		s.filled.Add(int64(len(payload)))
		for i, n := index, s.span(payload); i <= index+n; i++ {
			g.given.add(i - g.first)
			s.seen[group] += 1 << (2 * (i % lockedChunks))
		}
		return nil
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
			use = give
		}
		if err := s.source.Chunks(at, end, use); err != nil {
			return err
		}
		at = end + 1
	}
	return nil
}

// pieceEnd is the last chunk of the piece of the file that holds a byte, -1 when
// that is not known.
func (s *Sparse) pieceEnd(at int64) int64 {
	s.learn.Do(func() { s.pieces = s.readLayout() })
	return (s.pieces.end(at) - 1) >> s.shift
}

// readLayout reads the footer: not before somebody reads a column, since many
// extents are opened and found to hold nothing that is wanted.
func (s *Sparse) readLayout() layout {
	tail := s.footer()
	defer clear(tail)
	l, _ := layoutIn(tail, s.size)
	return l
}

// footer is the end of the extent with the whole footer, nil when that cannot be had.
// The caller clears it: a footer has values of rows.
func (s *Sparse) footer() []byte {
	first := s.tailChunk()
	tail, ok := s.keptTail()
	if !ok {
		tail, ok = s.tail(first)
	}
	begin, whole := footerBegin(tail, s.size)
	if ok && whole && begin >= first<<s.shift {
		return tail
	}
	clear(tail)
	if !ok || !whole {
		return nil
	}
	if tail, ok = s.tail(begin >> s.shift); !ok {
		clear(tail)
		return nil
	}
	return tail
}

// keptTail is the tail as far as it is in the memfd still; not ok when some is not.
func (s *Sparse) keptTail() (plain []byte, ok bool) {
	first := s.tailChunk()
	lock := &s.locks[first/lockedChunks]
	lock.Lock()
	defer lock.Unlock()
	for i := first; i < s.chunks; i++ {
		if s.words[i].Load()&1 == 0 {
			return nil, false
		}
	}
	plain = make([]byte, s.size-first<<s.shift)
	if _, err := s.data.ReadAt(plain, first<<s.shift); err != nil {
		clear(plain)
		return nil, false
	}
	return plain, true
}

// tail is the plaintext from a chunk on, decrypted anew.
func (s *Sparse) tail(first int64) (plain []byte, ok bool) {
	plain = make([]byte, 0, s.size-first<<s.shift)
	err := s.source.Chunks(first, s.chunks-1, func(_ int64, payload []byte) error {
		plain = append(plain, payload...)
		s.filled.Add(int64(len(payload)))
		return nil
	})
	return plain, err == nil
}

// seenOf is how often a chunk was given. The caller holds its lock.
func (s *Sparse) seenOf(i int64) uint32 {
	return s.seen[i/lockedChunks] >> (2 * (i % lockedChunks)) & 3
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
