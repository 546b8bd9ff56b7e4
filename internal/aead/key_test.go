package aead_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/aead"
)

func TestSealOpen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := aead.NewKey()
		aad := rapid.SliceOf(rapid.Byte()).Draw(t, "aad")
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		sealed, err := key.Seal(aad, plain)
		if err != nil || len(sealed) != len(plain)+aead.Overhead {
			t.Fatalf("seal: %d bytes, %v", len(sealed), err)
		}
		got, err := key.Open(aad, sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("open: %x, %v", got, err)
		}
		i := rapid.IntRange(0, len(sealed)-1).Draw(t, "bit")
		sealed[i] ^= 1
		if _, err := key.Open(aad, sealed); !errors.Is(err, aead.ErrAuthentication) {
			t.Fatalf("flipped byte %d opened: %v", i, err)
		}
		sealed[i] ^= 1
		if _, err := key.Open(append(aad, 0), sealed); !errors.Is(err, aead.ErrAuthentication) {
			t.Fatalf("other aad opened: %v", err)
		}
		if _, err := aead.NewKey().Open(aad, sealed); !errors.Is(err, aead.ErrAuthentication) {
			t.Fatalf("other key opened: %v", err)
		}
	})
}

func TestShortInput(t *testing.T) {
	t.Parallel()
	for n := range aead.Overhead {
		if _, err := aead.NewKey().Open(nil, make([]byte, n)); !errors.Is(err, aead.ErrAuthentication) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := aead.KeyFrom(make([]byte, 16)); err == nil {
		t.Error("a 16-byte key was taken")
	}
}

func TestKeyNeverPrints(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xAB}, aead.KeySize)
	key, err := aead.KeyFrom(raw)
	if err != nil {
		t.Fatal(err)
	}
	type holder struct {
		K aead.Key
		k aead.Key // fmt cannot call methods of unexported fields
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "k", key, "h", holder{key, key})
	asJSON, err := json.Marshal(holder{key, key})
	if err != nil {
		t.Fatal(err)
	}
	out := log.String() + string(asJSON)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%X", "%s", "%q", "%d"} {
		out += fmt.Sprintf(verb, key) + fmt.Sprintf(verb, &key) + fmt.Sprintf(verb, holder{key, key})
	}
	// Two bytes or more: the time of the log and addresses may hold what one looks like.
	for _, leak := range []string{"abababab", "ABABABAB", "171 171", "171,171", "q6urq6ur", `\xab\xab`, "\xab\xab"} {
		if strings.Contains(out, leak) {
			t.Errorf("%q in %s", leak, out)
		}
	}
	if !strings.Contains(out, "REDACTED") {
		t.Error("nothing says REDACTED")
	}
}

func TestWipe(t *testing.T) {
	t.Parallel()
	key := aead.NewKey()
	twin := key
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				if _, err := twin.Seal(nil, []byte("x")); err != nil && !errors.Is(err, aead.ErrWiped) {
					t.Error(err)
				}
			}
		})
	}
	key.Wipe()
	key.Wipe()
	wg.Wait()
	for name, err := range map[string]error{
		"seal":   second(twin.Seal(nil, nil)),
		"open":   second(twin.Open(nil, make([]byte, 40))),
		"reveal": twin.Reveal(func([]byte) error { return nil }),
		"zero":   second(aead.Key{}.Seal(nil, nil)),
	} {
		if !errors.Is(err, aead.ErrWiped) {
			t.Errorf("%s after wipe: %v", name, err)
		}
	}
	if twin.Equal(make([]byte, aead.KeySize)) || !twin.Wiped() {
		t.Error("a wiped key equals the zero key")
	}
	aead.Key{}.Wipe()
}

func second(_ []byte, err error) error { return err }
