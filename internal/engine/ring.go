package engine

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The ring is memory that parent and child share: doorbells, one for each server,
// slots, one for each read that waits for plaintext, a server's number for each
// processor, and a buffer for each slot. A thread of the child keeps its slot, so
// that few buffers are ever used and those again and again: their pages are there
// already, and warm. The layout is known to the child's C code as well
// (duckdb/sparse.c).
const (
	ringBells  = 16
	ringSlots  = 64
	slotBytes  = 64 // of a bell too
	slotsAt    = ringBells * slotBytes
	serversAt  = slotsAt + ringSlots*slotBytes
	processors = 1024
	buffersAt  = 8 << 10 // beyond all that, on a page
	bufferSize = 2 << 20
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
	result atomic.Int32              // 0, or an errno
	begin  atomic.Uint32             // of the read, in bytes from the first chunk's begin
	server atomic.Uint32             // whose bell was rung
	given  [givenWords]atomic.Uint64 // of chunks from first on
	_      [slotBytes - 48]byte
}

// Ring answers a child's requests for plaintext. It is safe for concurrent use.
type Ring struct {
	file *os.File
	mem  []byte
	bell [ringBells]*atomic.Uint32
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

// NewRing makes a ring and begins to serve it with a thread on each processor,
// up to servers of them. A reader rings the bell of the processor it is on and then
// sleeps, so its server runs there at once: a thread that is woken elsewhere
// waits behind the child's other threads, or for another processor to leave its rest.
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
		file: f, mem: mem,
		slot: unsafe.Slice((*slot)(unsafe.Pointer(&mem[slotsAt])), ringSlots), extents: make(map[uint32]*attached),
	}
	for i := range r.bell {
		r.bell[i] = (*atomic.Uint32)(unsafe.Pointer(&mem[i*slotBytes]))
	}
	for i, set := range spread(mem[serversAt:serversAt+processors], min(servers, ringBells)) {
		r.work.Go(func() { r.serve(uint32(i), set) })
	}
	return r, nil
}

// RingServers is how many threads serve the ring of one child. Each keeps one of Go's
// processors (GOMAXPROCS) for some milliseconds while it waits for a query's next
// request, so a parent should have that many more than it would have.
func RingServers() int { return len(spread(make([]byte, processors), ringServers)) }

// spread gives the processors we may use to at most n servers, in turn, and
// notes in table which server each has.
func spread(table []byte, n int) (sets []unix.CPUSet) {
	var ours unix.CPUSet
	if err := unix.SchedGetaffinity(0, &ours); err != nil || ours.Count() == 0 {
		return make([]unix.CPUSet, 1)
	}
	sets = make([]unix.CPUSet, max(1, min(n, ours.Count())))
	next := 0
	for cpu := range table {
		if ours.IsSet(cpu) {
			table[cpu] = byte(next)
			sets[next].Set(cpu)
			next = (next + 1) % len(sets)
		}
	}
	return sets
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
	for _, bell := range r.bell {
		bell.Add(1)
		futexWake(bell, ringSlots)
	}
	r.work.Wait()
	// An error is possible only for a range that is not mapped.
	_ = unix.Munmap(r.mem)
	r.file.Close()
}

func (r *Ring) serve(me uint32, set unix.CPUSet) {
	runtime.LockOSThread() // and never unlocked, so the thread ends with this
	if set.Count() > 0 {
		// Where that is forbidden the thread runs anywhere.
		_ = unix.SchedSetaffinity(0, &set)
	}
	bell := r.bell[me]
	for quiet := false; !r.closing.Load(); {
		heard := bell.Load()
		switch {
		case r.sweep(me): // where the scheduler can stop it, too
			quiet = false
		case !quiet:
			futexAttend(bell, heard)
			quiet = true
		default:
			futexWait(bell, heard)
			quiet = false
		}
	}
}

// sweep answers what is posted for a server and reports whether anything was.
func (r *Ring) sweep(me uint32) bool {
	found := false
	for i := range r.slot {
		s := &r.slot[i]
		if s.state.Load() != slotPosted || s.server.Load() != me || !s.state.CompareAndSwap(slotPosted, slotTaken) {
			continue
		}
		found = true
		// Read once: the child may change them under our hands.
		ask := request{
			index: s.index.Load(), first: int64(s.first.Load()), last: int64(s.last.Load()),
			buffer: Buffer{Into: r.buffer(i), Begin: int64(s.begin.Load())},
		}
		given, errno := r.answer(ask)
		for i, word := range given {
			s.given[i].Store(word)
		}
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
	buffer      Buffer
}

// buffer is the buffer of slot i. The child may write anything into it at any
// time, so nobody reads it here.
func (r *Ring) buffer(i int) []byte {
	at := buffersAt + i*bufferSize
	return r.mem[at : at+bufferSize : at+bufferSize]
}

func (r *Ring) answer(ask request) (given Given, errno unix.Errno) {
	if r.denied.Load() {
		return Given{}, unix.EIO
	}
	r.mu.RLock()
	a := r.extents[ask.index]
	r.mu.RUnlock()
	if a == nil {
		return Given{}, unix.EBADF
	}
	given, err := a.sparse.Deliver(ask.first, ask.last, ask.buffer)
	if err != nil {
		return Given{}, unix.EIO
	}
	if a.filled != nil {
		a.filled(ask.first, ask.last)
	}
	return given, 0
}

// attention is how long a server waits for the next request of a query before it
// lets Go's processor go.
const attention = 8 * time.Millisecond

// futexAttend waits a moment without telling Go's scheduler. A thread that enters and
// leaves system calls keeps the runtime's monitor looking each 20 µs whether it must
// take a processor away, and each look interrupts the engine: thousands a second, some
// hundredths of a long query. So does each end of a wait that came to nothing. Whoever
// stops the world waits for one attention at most.
func futexAttend(word *atomic.Uint32, value uint32) {
	const wait = 0
	limit := unix.NsecToTimespec(int64(attention))
	_, _, _ = unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), wait, uintptr(value), uintptr(unsafe.Pointer(&limit)), 0, 0)
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
	const wake = 1 // FUTEX_WAKE; it does not wait
	_, _, _ = unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), wake, uintptr(n), 0, 0, 0)
}
