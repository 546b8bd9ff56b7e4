//go:build cgo

package duckdb

/*
#cgo LDFLAGS: -Wl,-wrap=pread
#include "sparse.h"
*/
import "C"

import (
	"os"
	"syscall"
	"unsafe"

	"github.com/kustos-io/kustos/internal/engine"
)

func errnoOf(code C.int) error {
	if code == 0 {
		return nil
	}
	return syscall.Errno(code)
}

// hookRing sets the ring of this process; the file may be closed afterwards.
func hookRing(f *os.File) error { return errnoOf(C.kustos_sparse_ring(C.int(f.Fd()))) }

// hook puts the read hook in front of an extent that is decrypted on read.
func hook(data, ready *os.File, about engine.SparseInfo) error {
	return errnoOf(C.kustos_sparse_add(C.int(data.Fd()), C.int(ready.Fd()), C.uint32_t(about.Index), C.uint32_t(about.Shift), C.int64_t(about.Size)))
}

// unhook takes it away; no statement reads the extent any more.
func unhook(data *os.File) error { return errnoOf(C.kustos_sparse_remove(C.int(data.Fd()))) }

// hookedRead reads as DuckDB does, hook included.
func hookedRead(f *os.File, p []byte, off int64) (int, error) {
	n, err := C.kustos_sparse_pread(C.int(f.Fd()), unsafe.Pointer(&p[0]), C.size_t(len(p)), C.int64_t(off))
	if n >= 0 {
		return int(n), nil // errno is left over from a wait
	}
	return int(n), err
}

// hookRepeats is how often a read was repeated because of an eviction.
func hookRepeats() uint64 { return uint64(C.kustos_sparse_repeats()) }
