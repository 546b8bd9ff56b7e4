package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/store"
)

// Run checks one driver. open returns a fresh empty store; the suite closes it.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, store.Store)
	}{
		{"put get delete", testPutGetDelete},
		{"not found", testNotFound},
		{"rollback", testRollback},
		{"rollback on panic", testPanic},
		{"sees its own writes", testOwnWrites},
		{"isolation", testIsolation},
		{"order", testOrder},
		{"scan", testScan},
		{"scan many", testScanMany},
		{"odd keys", testOddKeys},
		{"large value", testLarge},
		{"caller owns slices", testOwnership},
		{"concurrent updates", testConcurrent},
		{"cancelled", testCancelled},
		{"sealed", testSealed},
		{"model", testModel},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			c.run(t, s)
		})
	}
}

// RunDurable checks that what Update acknowledged is there after Close and a
// second open of the same folder, and that nothing else is.
func RunDurable(t *testing.T, open func(t *testing.T, dir string) store.Store) {
	t.Parallel()
	dir := t.TempDir()
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for round := range 3 {
		s := open(t, dir)
		for earlier := range round {
			want(t, s, "b", fmt.Sprint("kept", earlier), big)
		}
		if got := scan(t, s, "b", "", ""); len(got) != round {
			t.Errorf("round %d finds keys %v", round, got)
		}
		update(t, s, func(tx store.Tx) error { return tx.Put("b", fmt.Sprint("kept", round), big) })
		update(t, s, func(tx store.Tx) error { return tx.Put("b", "gone", big) })
		update(t, s, func(tx store.Tx) error { return tx.Delete("b", "gone") })
		_ = s.Update(context.Background(), func(tx store.Tx) error {
			return errors.Join(tx.Put("b", "refused", big), errors.New("no"))
		})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Update(context.Background(), func(store.Tx) error { return nil }); err == nil {
			t.Error("update of a closed store succeeded")
		}
	}
}

func update(t *testing.T, s store.Store, fn func(store.Tx) error) {
	t.Helper()
	if err := s.Update(context.Background(), fn); err != nil {
		t.Fatalf("update: %v", err)
	}
}

func view(t *testing.T, s store.Store, fn func(store.Tx) error) {
	t.Helper()
	if err := s.View(context.Background(), fn); err != nil {
		t.Fatalf("view: %v", err)
	}
}

func put(t *testing.T, s store.Store, bucket string, pairs ...string) {
	t.Helper()
	update(t, s, func(tx store.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := tx.Put(bucket, pairs[i], []byte(pairs[i+1])); err != nil {
				return err
			}
		}
		return nil
	})
}

func want(t *testing.T, s store.Store, bucket, key string, value []byte) {
	t.Helper()
	view(t, s, func(tx store.Tx) error {
		got, err := tx.Get(bucket, key)
		if value == nil && errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil || value == nil || !bytes.Equal(got, value) {
			t.Errorf("get %s/%s: %d bytes, %v; want %d bytes", bucket, key, len(got), err, len(value))
		}
		return nil
	})
}

func scan(t *testing.T, s store.Store, bucket, prefix, after string) (keys []string) {
	t.Helper()
	view(t, s, func(tx store.Tx) error { keys = scanTx(t, tx, bucket, prefix, after); return nil })
	return keys
}

func scanTx(t *testing.T, tx store.Tx, bucket, prefix, after string) (keys []string) {
	t.Helper()
	for e, err := range tx.Scan(bucket, prefix, after) {
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
		keys = append(keys, e.Key)
	}
	return keys
}

func testPutGetDelete(t *testing.T, s store.Store) {
	put(t, s, "b", "k", "one")
	want(t, s, "b", "k", []byte("one"))
	put(t, s, "b", "k", "two")
	want(t, s, "b", "k", []byte("two"))
	put(t, s, "other", "k", "three")
	want(t, s, "b", "k", []byte("two"))
	update(t, s, func(tx store.Tx) error { return tx.Put("b", "empty", nil) })
	want(t, s, "b", "empty", []byte{})
	update(t, s, func(tx store.Tx) error { return tx.Delete("b", "k") })
	want(t, s, "b", "k", nil)
	want(t, s, "other", "k", []byte("three"))
}

func testNotFound(t *testing.T, s store.Store) {
	put(t, s, "b", "k", "v")
	for _, at := range [][2]string{{"b", "x"}, {"b", ""}, {"nobucket", "k"}, {"b", "K"}, {"b", "k\x00"}} {
		view(t, s, func(tx store.Tx) error {
			if _, err := tx.Get(at[0], at[1]); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("get %q: %v", at, err)
			}
			return nil
		})
		err := s.Update(context.Background(), func(tx store.Tx) error { return tx.Delete(at[0], at[1]) })
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("delete %q: %v", at, err)
		}
	}
	if got := scan(t, s, "nobucket", "", ""); got != nil {
		t.Errorf("scan of nothing: %v", got)
	}
}

func testRollback(t *testing.T, s store.Store) {
	put(t, s, "b", "kept", "v", "doomed", "v")
	refusal := errors.New("refused")
	err := s.Update(context.Background(), func(tx store.Tx) error {
		return errors.Join(tx.Put("b", "kept", []byte("changed")), tx.Put("b", "new", nil), tx.Put("new", "k", nil), tx.Delete("b", "doomed"), refusal)
	})
	if !errors.Is(err, refusal) {
		t.Errorf("update: %v", err)
	}
	want(t, s, "b", "kept", []byte("v"))
	want(t, s, "b", "doomed", []byte("v"))
	want(t, s, "b", "new", nil)
	want(t, s, "new", "k", nil)
}

func testPanic(t *testing.T, s store.Store) {
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = s.Update(context.Background(), func(tx store.Tx) error {
			if err := tx.Put("b", "k", nil); err != nil {
				t.Error(err)
			}
			panic("in the middle")
		})
	}()
	want(t, s, "b", "k", nil)
	put(t, s, "b", "k", "v") // the store still takes updates
	want(t, s, "b", "k", []byte("v"))
}

func testOwnWrites(t *testing.T, s store.Store) {
	put(t, s, "b", "a", "1", "b", "2")
	update(t, s, func(tx store.Tx) error {
		if err := errors.Join(tx.Put("b", "c", []byte("3")), tx.Delete("b", "a")); err != nil {
			return err
		}
		if got, err := tx.Get("b", "c"); err != nil || string(got) != "3" {
			t.Errorf("own put: %q, %v", got, err)
		}
		if _, err := tx.Get("b", "a"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("own delete: %v", err)
		}
		if diff := cmp.Diff([]string{"b", "c"}, scanTx(t, tx, "b", "", "")); diff != "" {
			t.Errorf("own scan (-want +got)\n%s", diff)
		}
		return nil
	})
}

// testIsolation: a View keeps its snapshot, does not block an Update, and is
// not blocked by one.
func testIsolation(t *testing.T, s store.Store) {
	put(t, s, "b", "k", "old")
	view(t, s, func(before store.Tx) error {
		update(t, s, func(tx store.Tx) error {
			if err := errors.Join(tx.Put("b", "k", []byte("new")), tx.Put("b", "l", nil)); err != nil {
				return err
			}
			want(t, s, "b", "k", []byte("old")) // not yet committed
			want(t, s, "b", "l", nil)
			return nil
		})
		want(t, s, "b", "k", []byte("new"))
		if got, err := before.Get("b", "k"); err != nil || string(got) != "old" {
			t.Errorf("snapshot shows %q, %v", got, err)
		}
		if keys := scanTx(t, before, "b", "", ""); !slices.Equal(keys, []string{"k"}) {
			t.Errorf("snapshot scans %v", keys)
		}
		return nil
	})
}

func testOrder(t *testing.T, s store.Store) {
	keys := []string{"\x00", "0", "A", "Z", "a", "a\x00", "a/", "aa", "b", "é", "\xff", "\xff\xff"}
	for _, i := range []int{8, 11, 4, 9, 7, 3, 6, 0, 2, 5, 1, 10} {
		put(t, s, "b", keys[i], keys[i])
	}
	if got := scan(t, s, "b", "", ""); !slices.Equal(got, keys) {
		t.Errorf("order %q, want %q", got, keys)
	}
}

func testScan(t *testing.T, s store.Store) {
	put(t, s, "b", "a", "", "a/1", "", "a/2", "", "a/3", "", "b", "", "\xff", "", "\xff\x01", "")
	put(t, s, "b2", "a/4", "")
	for _, c := range []struct {
		prefix, after string
		want          []string
	}{
		{"a/", "", []string{"a/1", "a/2", "a/3"}},
		{"a/", "a/1", []string{"a/2", "a/3"}},
		{"a/", "a/15", []string{"a/2", "a/3"}},
		{"a/", "a/3", nil},
		{"a/", "a", []string{"a/1", "a/2", "a/3"}},
		{"a/", "b", nil},
		{"a", "a", []string{"a/1", "a/2", "a/3"}},
		{"", "a/3", []string{"b", "\xff", "\xff\x01"}},
		{"\xff", "", []string{"\xff", "\xff\x01"}},
		{"\xff", "\xff", []string{"\xff\x01"}},
		{"c", "", nil},
	} {
		if diff := cmp.Diff(c.want, scan(t, s, "b", c.prefix, c.after)); diff != "" {
			t.Errorf("prefix %q after %q (-want +got)\n%s", c.prefix, c.after, diff)
		}
	}
	view(t, s, func(tx store.Tx) error {
		for e, err := range tx.Scan("b", "a/", "") {
			if err != nil {
				return err
			}
			if _, err := tx.Get("b", e.Key); err != nil { // reading inside a scan is allowed
				t.Errorf("get inside scan: %v", err)
			}
			break // and so is stopping early
		}
		return nil
	})
	update(t, s, func(tx store.Tx) error {
		for e, err := range tx.Scan("b", "a/", "") {
			if err != nil {
				return err
			}
			if err := tx.Put("copy", e.Key, e.Value); err != nil { // another bucket may be written
				return err
			}
		}
		return nil
	})
	if got := scan(t, s, "copy", "", ""); len(got) != 3 {
		t.Errorf("copied %v", got)
	}
}

func testScanMany(t *testing.T, s store.Store) {
	var keys []string
	update(t, s, func(tx store.Tx) error {
		for i := range 1025 {
			keys = append(keys, fmt.Sprintf("k%05d", i))
			if err := tx.Put("b", keys[i], []byte(keys[i])); err != nil {
				return err
			}
		}
		return nil
	})
	for _, cut := range []int{0, 1, 255, 256, 257, 512, 1024} {
		if diff := cmp.Diff(keys[cut+1:], append([]string{}, scan(t, s, "b", "k", keys[cut])...)); diff != "" {
			t.Errorf("after %s (-want +got)\n%s", keys[cut], diff)
		}
	}
}

func testOddKeys(t *testing.T, s store.Store) {
	long := strings.Repeat("x/", 2000)
	for _, k := range []string{" ", "'", `"; DROP TABLE entries; --`, "%", "_", "a\x00b", "\xc3\x28", long} {
		put(t, s, k, k, k)
		want(t, s, k, k, []byte(k))
		if got := scan(t, s, k, "", ""); !slices.Equal(got, []string{k}) {
			t.Errorf("scan of bucket %q: %q", k, got)
		}
	}
	put(t, s, "", "", "empty bucket and key")
	want(t, s, "", "", []byte("empty bucket and key"))
	if got := scan(t, s, "", "", ""); got != nil {
		t.Errorf("%q is greater than the empty key", got)
	}
}

func testLarge(t *testing.T, s store.Store) {
	big := bytes.Repeat([]byte{0, 1, 2, 0xff}, 4<<20)
	update(t, s, func(tx store.Tx) error { return tx.Put("b", "big", big) })
	want(t, s, "b", "big", big)
}

func testOwnership(t *testing.T, s store.Store) {
	value := []byte("abc")
	update(t, s, func(tx store.Tx) error { return tx.Put("b", "k", value) })
	value[0] = 'X'
	view(t, s, func(tx store.Tx) error {
		got, err := tx.Get("b", "k")
		if err != nil {
			return err
		}
		got[0] = 'Y'
		for e, err := range tx.Scan("b", "", "") {
			if err != nil {
				return err
			}
			e.Value[0] = 'Z'
		}
		return nil
	})
	want(t, s, "b", "k", []byte("abc"))
}

func testConcurrent(t *testing.T, s store.Store) {
	const workers, rounds = 8, 20
	put(t, s, "b", "n", "0")
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				err := s.Update(context.Background(), func(tx store.Tx) error {
					n, err := store.GetJSON[int](tx, "b", "n")
					if err != nil {
						return err
					}
					return store.PutJSON(tx, "b", "n", n+1)
				})
				if err == nil {
					err = s.View(context.Background(), func(tx store.Tx) error { _, err := tx.Get("b", "n"); return err })
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	want(t, s, "b", "n", fmt.Append(nil, workers*rounds))
}

func testCancelled(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	none := func(store.Tx) error { t.Error("fn ran"); return nil }
	if err := s.View(ctx, none); !errors.Is(err, context.Canceled) {
		t.Errorf("view: %v", err)
	}
	if err := s.Update(ctx, none); !errors.Is(err, context.Canceled) {
		t.Errorf("update: %v", err)
	}
}

// xorSealer marks sealed values, enough to see that the wrapper is used.
type xorSealer struct{}

func (xorSealer) Seal(where string, plaintext []byte) ([]byte, error) {
	out := append([]byte(where), 0)
	for _, b := range plaintext {
		out = append(out, b^0x55)
	}
	return out, nil
}

func (xorSealer) Open(where string, sealed []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(sealed, append([]byte(where), 0))
	if !ok {
		return nil, errors.New("wrong context")
	}
	out := make([]byte, len(rest))
	for i, b := range rest {
		out[i] = b ^ 0x55
	}
	return out, nil
}

func testSealed(t *testing.T, s store.Store) {
	sealed := store.Sealed(s, xorSealer{})
	put(t, sealed, "b", "k", "plain")
	want(t, sealed, "b", "k", []byte("plain"))
	if got := scan(t, sealed, "b", "", ""); !slices.Equal(got, []string{"k"}) {
		t.Errorf("scan: %v", got)
	}
	var raw []byte
	view(t, s, func(tx store.Tx) (err error) { raw, err = tx.Get("b", "k"); return err })
	if bytes.Contains(raw, []byte("plain")) {
		t.Error("value reached the driver in clear")
	}
	update(t, s, func(tx store.Tx) error { return tx.Put("b", "moved", raw) })
	if err := sealed.View(context.Background(), func(tx store.Tx) error { _, err := tx.Get("b", "moved"); return err }); err == nil {
		t.Error("a value opens under another key")
	}
}

// testModel compares random transactions with a map.
func testModel(t *testing.T, s store.Store) {
	short := rapid.StringMatching(`[ab/]{0,3}`)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		bucket := fmt.Sprint("bucket", round)
		model := map[string]string{}
		for range rapid.IntRange(1, 5).Draw(rt, "transactions") {
			next := maps.Clone(model)
			fail := rapid.Bool().Draw(rt, "fail")
			err := s.Update(context.Background(), func(tx store.Tx) error {
				for range rapid.IntRange(0, 6).Draw(rt, "steps") {
					k := short.Draw(rt, "key")
					if rapid.Bool().Draw(rt, "delete") {
						err := tx.Delete(bucket, k)
						if _, ok := next[k]; ok != (err == nil) {
							rt.Fatalf("delete %q: %v", k, err)
						}
						delete(next, k)
						continue
					}
					v := rapid.String().Draw(rt, "value")
					next[k] = v
					if err := tx.Put(bucket, k, []byte(v)); err != nil {
						return err
					}
				}
				if fail {
					return errors.New("refused")
				}
				return nil
			})
			if (err != nil) != fail {
				rt.Fatalf("update: %v", err)
			}
			if !fail {
				model = next
			}
		}
		prefix, after := short.Draw(rt, "prefix"), short.Draw(rt, "after")
		expect := map[string]string{}
		for k, v := range model {
			if strings.HasPrefix(k, prefix) && k > after {
				expect[k] = v
			}
		}
		got := map[string]string{}
		last := ""
		err := s.View(context.Background(), func(tx store.Tx) error {
			for e, err := range tx.Scan(bucket, prefix, after) {
				if err != nil {
					return err
				}
				if e.Key < last {
					rt.Fatalf("%q after %q", e.Key, last)
				}
				last = e.Key
				got[e.Key] = string(e.Value)
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(expect, got); diff != "" {
			rt.Fatalf("prefix %q after %q (-want +got)\n%s", prefix, after, diff)
		}
	})
}
