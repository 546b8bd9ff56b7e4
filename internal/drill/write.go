package drill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// printResult writes a drill for a terminal.
func printResult(out io.Writer, r *Result) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n", r.Title)
	for _, e := range r.Events {
		mark := "   "
		if e.Kind == Act {
			mark = " > "
		}
		fmt.Fprintf(&b, "%8.3f s %s%s", time.Duration(e.At).Seconds(), mark, e.What)
		if e.Detail != "" {
			fmt.Fprintf(&b, " · %s", e.Detail)
		}
		b.WriteByte('\n')
	}
	for _, m := range r.Measures {
		fmt.Fprintf(&b, "  %10s  %s", m.Took, m.Name)
		if m.Bound > 0 {
			fmt.Fprintf(&b, " (bound %s)", m.Bound)
		}
		b.WriteByte('\n')
	}
	verdict := "passed"
	if !r.Passed {
		verdict = "FAILED: " + r.Error
	}
	fmt.Fprintf(&b, "  %s: %s, %d questions asked\n\n", r.Name, verdict, r.Asked)
	_, err := out.Write(b.Bytes())
	return err
}

func printSummary(out io.Writer, r *Report) error {
	passed := 0
	for _, d := range r.Drills {
		if d.Passed {
			passed++
		}
	}
	_, err := fmt.Fprintf(out, "%d of %d drills passed in %.1f s; keys were probed every %s, %s\n", passed, len(r.Drills), time.Duration(r.Took).Seconds(), r.Interval, r.mode())
	return err
}

func writeJSON(path string, r *Report) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
