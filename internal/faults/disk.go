package faults

import (
	"errors"
	"io"
	"path/filepath"
	"syscall"
)

// ErrTorn is what a torn write answers.
var ErrTorn = errors.New("input/output error (torn by a fault rule)")

// Writer applies the rules to the writes of the file at path; satisfies
// durable.Hook.
func (i *Injector) Writer(path string, w io.Writer) io.Writer {
	return writer{i, filepath.Base(path), w}
}

type writer struct {
	*Injector
	file  string
	inner io.Writer
}

// Write implements io.Writer.
func (w writer) Write(p []byte) (int, error) {
	rule, ok := w.strike(true, func() event { return event{file: w.file} })
	if !ok {
		return w.inner.Write(p)
	}
	if rule.Kind == FullDisk {
		return 0, syscall.ENOSPC
	}
	n, err := w.inner.Write(p[:len(p)/2])
	return n, errors.Join(ErrTorn, err)
}
