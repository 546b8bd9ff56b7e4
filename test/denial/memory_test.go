package denial_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// children are the pids of a process's children.
func children(t *testing.T, server int) (pids []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	must(t, err)
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if fields[1] == fmt.Sprint(server) && fields[0] != "Z" {
			var pid int
			_, err := fmt.Sscan(string(data), &pid)
			must(t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

func awaitNoChild(t *testing.T, server int) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); len(children(t, server)) > 0; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the server still has a child")
		}
	}
}

// memory is everything that the process can write to, one region after the other.
func memory(t *testing.T, pid int) []byte {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	must(t, err)
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	must(t, err)
	defer mem.Close()
	var out bytes.Buffer
	page := make([]byte, 4096)
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil || !strings.HasPrefix(rights, "rw") {
			continue
		}
		_, err := io.Copy(&out, io.NewSectionReader(mem, from, to-from))
		if err != nil { // page by page where some cannot be read
			for at := from; at < to; at += int64(len(page)) {
				if n, err := mem.ReadAt(page, at); err == nil {
					out.Write(page[:n])
				}
			}
		}
	}
	return out.Bytes()
}

// forms are the encodings in which a secret may lie about.
func forms(secret []byte) map[string][]byte {
	wide := make([]byte, 0, 2*len(secret))
	for _, b := range secret {
		wide = append(wide, b, 0)
	}
	return map[string][]byte{
		"bytes": secret, "hex": []byte(hex.EncodeToString(secret)), "UTF-16": wide,
		"base64": []byte(base64.RawStdEncoding.EncodeToString(secret)), "base64url": []byte(base64.RawURLEncoding.EncodeToString(secret)),
	}
}

// notFound fails the test for every form of a secret that lies in a memory,
// with what is around it.
func notFound(t *testing.T, memory []byte, secrets map[string][]byte) {
	t.Helper()
	for name, secret := range secrets {
		for form, text := range forms(secret) {
			if n := bytes.Count(memory, text); n > 0 {
				at := bytes.Index(memory, text)
				t.Errorf("%s as %s is %d times in memory: %q before it, %q after it", name, form, n, memory[max(0, at-100):at], memory[at+len(text):min(len(memory), at+len(text)+100)])
			}
		}
	}
}

// noRow fails the test for every stretch of memory in which text from rows lies.
func noRow(t *testing.T, memory []byte, needle string) {
	t.Helper()
	first, last, n := -1, 0, 0
	flush := func() {
		if first >= 0 {
			t.Errorf("rows are in memory, %d of them in one place: %q … %q", n, memory[max(0, first-100):min(len(memory), first+100)], memory[last:min(len(memory), last+100)])
		}
	}
	for at := 0; ; {
		i := bytes.Index(memory[at:], []byte(needle))
		if i < 0 {
			break
		}
		if at += i; first < 0 || at-last > 200 {
			flush()
			first, n = at, 0
		}
		last = at
		n++
		at += len(needle)
	}
	flush()
}
