package scripts_test

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// damage PATTERN OFFSET flips one bit of the newest file that matches, at an
// offset in bytes, and puts the file's name without its ending into $DAMAGED. Done
// twice it mends the file.
func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: damage PATTERN OFFSET")
	}
	newest := newestFile(ts, args[0])
	offset, err := strconv.Atoi(args[1])
	ts.Check(err)
	data, err := os.ReadFile(newest)
	ts.Check(err)
	data[offset] ^= 1
	info, err := os.Stat(newest)
	ts.Check(err)
	ts.Check(os.WriteFile(newest, data, 0o600))
	ts.Check(os.Chtimes(newest, info.ModTime(), info.ModTime())) // it stays the newest only if it was
	ts.Setenv("DAMAGED", nameOf(newest))
}

// lose PATTERN moves the newest file that matches to $WORK and puts its name without
// its ending into $DAMAGED.
func lose(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: lose PATTERN")
	}
	newest := newestFile(ts, args[0])
	ts.Check(os.Rename(newest, filepath.Join(ts.Getenv("WORK"), filepath.Base(newest))))
	ts.Setenv("DAMAGED", nameOf(newest))
}

func nameOf(path string) string {
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
}

func newestFile(ts *testscript.TestScript, pattern string) string {
	paths, err := filepath.Glob(pattern)
	ts.Check(err)
	if len(paths) == 0 {
		ts.Fatalf("no file matches %s", pattern)
	}
	return slices.MaxFunc(paths, func(a, b string) int {
		x, err := os.Stat(a)
		ts.Check(err)
		y, err := os.Stat(b)
		ts.Check(err)
		return cmp.Compare(x.ModTime().UnixNano(), y.ModTime().UnixNano())
	})
}
