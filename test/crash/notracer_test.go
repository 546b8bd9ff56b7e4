//go:build !amd64

package crash_test

// execVariable is used on amd64 only.
const execVariable = "KUSTOS_CRASH_EXEC"

func launch() { panic("BUG: there is no tracer for this processor") }
