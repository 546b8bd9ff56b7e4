package engine

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func pair(t testing.TB) (a, b *Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ends := make([]*Conn, 2)
	for i, fd := range fds {
		if ends[i], err = NewConn(fd); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ends[i].Close() })
	}
	return ends[0], ends[1]
}

func TestParamsKeepTypeAndValue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(
			rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Int32().AsAny(), rapid.Int64().AsAny(),
			rapid.Float64().AsAny(), rapid.String().AsAny(),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }).AsAny(),
		).Draw(t, "value")
		raw, err := json.Marshal(Param{value})
		if err != nil {
			t.Fatal(err)
		}
		var back Param
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(value, back.Value); diff != "" {
			t.Fatalf("%s: %s", raw, diff)
		}
	})
	for _, f := range []float64{math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1)} {
		raw, err := json.Marshal(Param{f})
		if err != nil {
			t.Fatal(err)
		}
		var back Param
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Fatal(err)
		}
		if math.Float64bits(back.Value.(float64)) != math.Float64bits(f) {
			t.Errorf("%v came back as %v", f, back.Value)
		}
	}
	if _, err := json.Marshal(Param{struct{}{}}); err == nil {
		t.Error("a parameter of an unknown type was encoded")
	}
}

func FuzzParam(f *testing.F) {
	for _, seed := range []string{`{"T":"n"}`, `{"T":"l","V":"1"}`, `{"T":"s","V":"AA=="}`, `{"T":"b","V":1}`, `{"T":"x"}`, `[]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p Param
		if json.Unmarshal(raw, &p) != nil {
			return
		}
		if _, err := json.Marshal(p); err != nil {
			t.Fatalf("%s was read as %#v, which cannot be written: %v", raw, p.Value, err)
		}
	})
}

// Messages of every size arrive whole, in order, with their files.
func TestMessages(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	for _, size := range []int{0, 100, maxInline - 200, maxInline, 3 << 20} {
		f, err := NewMemfd("test")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("beside"); err != nil {
			t.Fatal(err)
		}
		if err := Seal(f); err != nil {
			t.Fatal(err)
		}
		sent := Request{ID: uint64(size), Op: OpQuery, SQL: strings.Repeat("x", size)}
		if err := a.Send(&sent, f); err != nil {
			t.Fatal(err)
		}
		f.Close()
		var got Request
		files, err := b.Receive(&got)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sent, got); diff != "" {
			t.Fatalf("size %d: %s", size, diff)
		}
		if len(files) != 1 {
			t.Fatalf("%d files", len(files))
		}
		if body, err := ReadMemfd(files[0]); err != nil || string(body) != "beside" {
			t.Fatalf("file holds %q, %v", body, err)
		}
		if _, err := files[0].WriteString("more"); err == nil {
			t.Fatal("a sealed memfd was written")
		}
		files[0].Close()
	}
	a.Close()
	if _, err := b.Receive(new(Request)); !errors.Is(err, io.EOF) {
		t.Fatalf("after the end: %v", err)
	}
}

// A file that its owner closes while it is handed over arrives or is refused; another
// that got its number never arrives in its place.
func TestFileClosedMeanwhile(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	for range 200 {
		f, err := NewMemfd("right")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("right"); err != nil {
			t.Fatal(err)
		}
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			f.Close()
			if other, err := NewMemfd("wrong"); err == nil { // most likely with the number of f
				other.Close()
			}
		}()
		err = a.Send(&Request{Op: OpOpen}, f)
		<-closed
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				t.Fatal(err)
			}
			continue
		}
		files, err := b.Receive(new(Request))
		if err != nil || len(files) != 1 {
			t.Fatalf("%d files, %v", len(files), err)
		}
		if body, err := ReadMemfd(files[0]); err != nil || string(body) != "right" {
			t.Errorf("handed over %q, %v", body, err)
		}
		files[0].Close()
	}
}

// Garbage is an error, and its files are closed.
func TestGarbage(t *testing.T) {
	t.Parallel()
	for name, message := range map[string][]byte{
		"no JSON": {inline, '{'}, "no body": {spilled}, "too large": make([]byte, maxInline+1000),
	} {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		c, err := NewConn(fds[0])
		if err != nil {
			t.Fatal(err)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if name == "no body" {
			err = unix.Sendmsg(fds[1], message, nil, nil, 0)
		} else {
			err = unix.Sendmsg(fds[1], message, unix.UnixRights(int(w.Fd())), nil, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		w.Close()
		if files, err := c.Receive(new(Request)); err == nil || files != nil {
			t.Errorf("%s: %v, %v", name, files, err)
		}
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%s: the file that came is still open: %v", name, err)
		}
		c.Close()
		unix.Close(fds[1])
		r.Close()
	}
}

func TestLaunchFailure(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/nowhere/kustos", "/bin/true"} {
		p := &Process{Path: path}
		if c, err := p.Launch(t.Context(), Config{}); err == nil {
			c.Close()
			t.Errorf("%s is an engine", path)
		}
	}
}
