package engine

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrDenied is the answer to every request for plaintext after the source was
// closed or the child was given up.
var ErrDenied = errors.New("plaintext is not given out any more")

// Source yields the plaintext of an extent.
type Source interface {
	// Size is the length of the plaintext in bytes.
	Size() int64
	// ChunkSize is the unit in which plaintext is verified, a power of two.
	ChunkSize() int
	// Chunks gives the chunks first to last to use, in order, one or some
	// neighbours at a time, each only after it was decrypted and verified into
	// memory of the source's own: the payload from chunk index on, of whole
	// chunks. It is valid until use returns.
	Chunks(first, last int64, use func(index int64, payload []byte) error) error
}

const (
	// lockedChunks is how many neighbouring chunks share a lock, as many as an
	// element of seen has room for.
	lockedChunks = 16
	// timesGiven is how often a chunk is given to a reader without being kept. To keep it
	// costs more than to give it, by once to twice what a gift costs more than a read
	// of what is kept (docs/benchmarks.md). Who does so when he has paid about as much
	// never pays more than twice what the best choice would have cost, whatever comes.
	timesGiven = 2
	// tailBytes is about what the footer of an extent of a million rows has.
	tailBytes = 24 << 10
)

// Sparse is an extent that is decrypted as it is read: a memfd of the full
// size, empty at first, and a word for each chunk that says whether the chunk
// is there. The child sees both and can write neither; what is missing it asks
// the parent for. It is safe for concurrent use.
//
// A word is generation << 1 | ready. It only grows: a reader that finds the
// same words before and after its read knows that nothing went in between.
type Sparse struct {
	source Source
	size   int64
	shift  uint // of the chunk size
	chunks int64

	data   *os.File // for writing, ours alone
	handed *os.File // the same, for reading only: the child's
	ready  *os.File // the words
	memory []byte
	words  []atomic.Uint32 // over memory

	locks []sync.Mutex // one for lockedChunks chunks
	// seen has two bits for each chunk, how often it was given to a reader without
	// being kept; an element for each lock, which guards it.
	seen []uint32

	learn  sync.Once // sets pieces
	pieces layout

	// guard is held for reading by fills and evictions, for writing by Close.
	guard  sync.RWMutex
	closed bool

	resident atomic.Int64
	filled   atomic.Int64 // bytes decrypted over its whole life
	failures atomic.Uint64
	failure  atomic.Pointer[error]
}

// NewSparse makes the memfds. The source stays the caller's and must outlive Close.
func NewSparse(source Source) (s *Sparse, err error) {
	size, chunk := source.Size(), int64(source.ChunkSize())
	if chunk < 1 || chunk&(chunk-1) != 0 || size < 1 {
		return nil, fmt.Errorf("sparse extent of %d bytes in chunks of %d", size, chunk)
	}
	s = &Sparse{source: source, size: size, chunks: (size + chunk - 1) / chunk}
	for 1<<s.shift < chunk {
		s.shift++
	}
	s.locks = make([]sync.Mutex, (s.chunks+lockedChunks-1)/lockedChunks)
	s.seen = make([]uint32, len(s.locks))
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	const fixed = unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL
	if s.data, err = sized("extent", size, fixed); err != nil {
		return nil, err
	}
	// A descriptor that cannot write, and a mode under which none can be opened
	// by a user who does not own the file.
	if err = s.data.Chmod(0o444); err != nil {
		return nil, fmt.Errorf("sparse extent: %w", err)
	}
	if s.handed, err = os.Open(fmt.Sprintf("/proc/self/fd/%d", s.data.Fd())); err != nil {
		return nil, fmt.Errorf("sparse extent: %w", err)
	}
	if s.ready, err = sized("ready", 4*s.chunks, 0); err != nil {
		return nil, err
	}
	s.memory, err = unix.Mmap(int(s.ready.Fd()), 0, int(4*s.chunks), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("sparse extent: %w", err)
	}
	s.words = unsafe.Slice((*atomic.Uint32)(unsafe.Pointer(&s.memory[0])), s.chunks)
	// From here on only the mapping above can write the words.
	if _, err = unix.FcntlInt(s.ready.Fd(), unix.F_ADD_SEALS, fixed|unix.F_SEAL_FUTURE_WRITE); err != nil {
		return nil, fmt.Errorf("sparse extent: %w", err)
	}
	return s, nil
}

func sized(name string, size int64, seals int) (*os.File, error) {
	f, err := NewMemfd(name)
	if err != nil {
		return nil, err
	}
	if err = f.Truncate(size); err == nil && seals != 0 {
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("memfd of %d bytes: %w", size, err)
	}
	return f, nil
}

// Files is what a child is given: the plaintext and its words, both for reading
// only. They stay the Sparse's.
func (s *Sparse) Files() (data, ready *os.File) { return s.handed, s.ready }

// HandedOver closes what only a child needs, once it has it: an open extent then
// costs one descriptor here.
func (s *Sparse) HandedOver() {
	s.guard.Lock()
	defer s.guard.Unlock()
	if !s.closed {
		s.handed.Close()
		s.ready.Close()
	}
}

// Size is the length of the plaintext in bytes.
func (s *Sparse) Size() int64 { return s.size }

// Chunks is the number of chunks.
func (s *Sparse) Chunks() int64 { return s.chunks }

// Resident is the number of bytes of plaintext that are in memory now.
func (s *Sparse) Resident() int64 { return s.resident.Load() }

// Decrypted is the number of bytes decrypted since NewSparse.
func (s *Sparse) Decrypted() int64 { return s.filled.Load() }

// Failure is the number of requests that could not be met, and the last reason.
func (s *Sparse) Failure() (uint64, error) {
	n := s.failures.Load()
	if p := s.failure.Load(); p != nil {
		return n, *p
	}
	return n, nil
}

// FillTail makes the end of the extent ready, where a reader of Parquet begins. What
// cannot be had is left to the read that asks for it, which says so.
func (s *Sparse) FillTail() {
	s.guard.RLock()
	defer s.guard.RUnlock()
	if s.closed {
		return
	}
	_ = s.meet(s.tailChunk(), s.chunks-1, &gifts{})
}

// tailChunk is where the tail begins; all its chunks share the last lock.
func (s *Sparse) tailChunk() int64 {
	return max(max(0, s.size-tailBytes)>>s.shift, (s.chunks-1)&^(lockedChunks-1))
}

// Evict takes the plaintext of all chunks out of memory, but for those from
// keepFirst to keepLast (none when keepFirst > keepLast), and returns how many
// bytes that were. It never waits for a reader: one that was about to read
// sees by the words that it must ask again.
func (s *Sparse) Evict(keepFirst, keepLast int64) (int64, error) {
	s.guard.RLock()
	defer s.guard.RUnlock()
	if s.closed {
		return 0, nil
	}
	var freed int64
	for from := int64(0); from < s.chunks; from += lockedChunks {
		n, err := s.evictLocked(from, min(from+lockedChunks, s.chunks), keepFirst, keepLast)
		freed += n
		if err != nil {
			return freed, err
		}
	}
	return freed, nil
}

func (s *Sparse) evictLocked(from, end, keepFirst, keepLast int64) (int64, error) {
	lock := &s.locks[from/lockedChunks]
	lock.Lock()
	defer lock.Unlock()
	goes := func(i int64) bool {
		return (i < keepFirst || i > keepLast) && s.words[i].Load()&1 == 1
	}
	var freed int64
	for from < end {
		if !goes(from) {
			from++
			continue
		}
		to := from
		for ; to < end && goes(to); to++ {
			s.words[to].Add(1) // the next generation, not ready
			s.seen[to/lockedChunks] &^= 3 << (2 * (to % lockedChunks))
		}
		at, n := from<<s.shift, min(to<<s.shift, s.size)-from<<s.shift
		if err := unix.Fallocate(int(s.data.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, n); err != nil {
			return freed, fmt.Errorf("evict extent: %w", err)
		}
		freed += n
		s.resident.Add(-n)
		from = to
	}
	return freed, nil
}

// Close gives the memory up; what fills wait is let out first, later ones are
// denied. A child that still has the descriptors keeps what was decrypted
// until it closes them or is killed.
func (s *Sparse) Close() {
	s.guard.Lock()
	defer s.guard.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	for _, f := range []*os.File{s.data, s.handed, s.ready} {
		if f != nil {
			f.Close()
		}
	}
	if s.memory != nil {
		// An error is possible only for a range that is not mapped.
		_ = unix.Munmap(s.memory)
		s.memory, s.words = nil, nil
	}
}
