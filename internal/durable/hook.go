package durable

import "io"

// Hook stands between a writer of data files and the file at path, so that a
// rehearsal can break a write as a disk would. It must pass everything through
// unchanged when nothing is rehearsed.
type Hook interface {
	Writer(path string, w io.Writer) io.Writer
}

// Through returns w behind hook, w itself without one.
func Through(hook Hook, path string, w io.Writer) io.Writer {
	if hook == nil {
		return w
	}
	return hook.Writer(path, w)
}
