package engine

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The ring is memory that parent and child share: a doorbell and slots, one for
// each read that waits for plaintext, and behind them a buffer for each slot.
// The child takes the first free slot, so that few buffers are ever used and
// those again and again: their pages are there already, and warm. The layout is
// known to the child's C code as well (duckdb/sparse.c).
const (
	ringSlots  = 64
	slotBytes  = 64
	buffersAt  = 8 << 10 // beyond doorbell and slots, on a page
	bufferSize = 1 << 20
	ringBytes  = buffersAt + ringSlots*bufferSize

	slotPosted = 2 // by the child: all but result and given are set
	slotTaken  = 3 // by us
	slotDone   = 4 // by us: result and given are set
)

// slot is one request. The child may write anything into it at any time.
type slot struct {
	state  atomic.Uint32
	index  atomic.Uint32 // of the extent
	first  atomic.Uint32 // chunk
	last   atomic.Uint32
	result atomic.Int32 // 0, or an errno
	// Chunks that the read takes as a whole may be given in the buffer; none
	// when wholeFirst > wholeLast.
	wholeFirst atomic.Uint32
	wholeLast  atomic.Uint32
	_          uint32
	given      atomic.Uint64 // bit i: chunk first+i is in the buffer, i chunks from its begin
	_          [slotBytes - 40]byte
}

// Ring answers a child's requests for plaintext. It is safe for concurrent use.
type Ring struct {
	file *os.File
	mem  []byte
	bell *atomic.Uint32
	slot []slot

	mu      sync.RWMutex
	extents map[uint32]*attached
	next    uint32

	denied  atomic.Bool
	closing atomic.Bool
	work    sync.WaitGroup
	served  atomic.Uint64
}

// attached is an extent that a child may ask for.
type attached struct {
	sparse *Sparse
	// filled hears after each request that was met; it may evict.
	filled func(first, last int64)
}

// NewRing makes a ring and begins to serve it with as many goroutines as the
// child has threads that may wait.
func NewRing(servers int) (*Ring, error) {
	f, err := sized("ring", ringBytes, unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	if err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, ringBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("ring: %w", err)
	}
	r := &Ring{
		file: f, mem: mem, bell: (*atomic.Uint32)(unsafe.Pointer(&mem[0])),
		slot: unsafe.Slice((*slot)(unsafe.Pointer(&mem[slotBytes])), ringSlots), extents: make(map[uint32]*attached),
	}
	for range max(1, servers) {
		r.work.Go(r.serve)
	}
	return r, nil
}

// File is what the child gets.
func (r *Ring) File() *os.File { return r.file }

// Requests is the number of requests that were answered.
func (r *Ring) Requests() uint64 { return r.served.Load() }

// Attach lets the child ask for an extent under the index that is returned,
// which is never given out again.
func (r *Ring) Attach(s *Sparse, filled func(first, last int64)) uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	r.extents[r.next] = &attached{s, filled}
	return r.next
}

// Detach ends that.
func (r *Ring) Detach(index uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.extents, index)
}

// Deny makes every request from now on an error.
func (r *Ring) Deny() { r.denied.Store(true) }

// Close denies and returns when no request is being answered any more.
func (r *Ring) Close() {
	r.Deny()
	if r.closing.Swap(true) {
		return
	}
	r.bell.Add(1)
	futexWake(r.bell, ringSlots)
	r.work.Wait()
	// An error is possible only for a range that is not mapped.
	_ = unix.Munmap(r.mem)
	r.file.Close()
}

func (r *Ring) serve() {
	for !r.closing.Load() {
		heard := r.bell.Load()
		if r.sweep() {
			continue
		}
		futexWait(r.bell, heard)
	}
}

// sweep answers what is posted and reports whether anything was.
func (r *Ring) sweep() bool {
	found := false
	for i := range r.slot {
		s := &r.slot[i]
		if s.state.Load() != slotPosted || !s.state.CompareAndSwap(slotPosted, slotTaken) {
			continue
		}
		found = true
		// Read once: the child may change them under our hands.
		ask := request{
			index: s.index.Load(), first: int64(s.first.Load()), last: int64(s.last.Load()),
			whole: Whole{First: int64(s.wholeFirst.Load()), Last: int64(s.wholeLast.Load()), Into: r.buffer(i)},
		}
		given, errno := r.answer(ask)
		s.given.Store(given)
		s.result.Store(int32(errno))
		r.served.Add(1)
		s.state.Store(slotDone)
		futexWake(&s.state, 1)
	}
	return found
}

// request is what a slot asks for, copied out of the shared memory.
type request struct {
	index       uint32
	first, last int64
	whole       Whole
}

// buffer is the buffer of slot i. The child may write anything into it at any
// time, so nobody reads it here.
func (r *Ring) buffer(i int) []byte {
	at := buffersAt + i*bufferSize
	return r.mem[at : at+bufferSize : at+bufferSize]
}

func (r *Ring) answer(ask request) (given uint64, errno unix.Errno) {
	if r.denied.Load() {
		return 0, unix.EIO
	}
	r.mu.RLock()
	a := r.extents[ask.index]
	r.mu.RUnlock()
	if a == nil {
		return 0, unix.EBADF
	}
	given, err := a.sparse.Deliver(ask.first, ask.last, ask.whole)
	if err != nil {
		return 0, unix.EIO
	}
	if a.filled != nil {
		a.filled(ask.first, ask.last)
	}
	return given, 0
}

// bellTimeout bounds a wait, should a wake-up ever be lost.
const bellTimeout = 2 * time.Second

func futexWait(word *atomic.Uint32, value uint32) {
	const wait = 0 // FUTEX_WAIT, not private: the other side is another process
	limit := unix.NsecToTimespec(int64(bellTimeout))
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), wait, uintptr(value), uintptr(unsafe.Pointer(&limit)), 0, 0)
	switch errno {
	case 0, unix.EAGAIN, unix.EINTR, unix.ETIMEDOUT:
	default:
		panic(errors.Join(errors.New("BUG: futex wait"), errno))
	}
}

func futexWake(word *atomic.Uint32, n int) {
	const wake = 1 // FUTEX_WAKE
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), wake, uintptr(n), 0, 0, 0)
}
