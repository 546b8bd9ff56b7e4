package server

import (
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// clearThreads overwrites what signals left behind: the kernel puts the
// registers of an interrupted thread on that thread's signal stack, and a child
// that ends, or a client that is gone, interrupts whoever runs just then. Idle
// threads are taken, as many as there are, clear their registers, get one more
// signal, which puts those in the place of what was there, and end.
func clearThreads() {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return // without /proc nobody reads our memory either
	}
	var taken sync.WaitGroup
	var done sync.WaitGroup
	begin := make(chan struct{})
	for range threads {
		taken.Add(1)
		done.Go(func() {
			runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
			taken.Done()
			<-begin
			interruptSelf(make([]byte, registerBytes), make([]byte, registerBytes))
			if unix.Gettid() == os.Getpid() {
				runtime.UnlockOSThread() // the process's first thread stays
			}
		})
	}
	taken.Wait() // all at once, so that each is another thread
	close(begin)
	done.Wait()
}

// registerBytes is what a copy moves through all 16 vector registers at once.
const registerBytes = 256

// interruptSelf fills the vector registers with zeros from one slice to the
// other and sends the thread a signal that means nothing.
func interruptSelf(to, zeros []byte) {
	copy(to, zeros)
	// An error leaves the stack as it was.
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGURG)
}
