package keyvault

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net/http"
)

// carried takes a key past the SDK: its JSON and base64 code leaves copies that
// nobody can wipe. The SDK sends and gets zeros; the transport puts the key in
// the place of what it sends, and takes it out of what it gets, in buffers that
// are wiped.
type carried struct {
	send []byte // key to wrap; nil for an unwrap
	got  []byte // key that was unwrapped; the wrapper's to wipe
}

type carriedKey struct{}

func withCarried(ctx context.Context, c *carried) context.Context {
	return context.WithValue(ctx, carriedKey{}, c)
}

// placeholder is what the SDK wraps.
func placeholder(key []byte) []byte { return make([]byte, len(key)) }

// load replaces the body of a wrap request.
func (c *carried) load(r *http.Request) {
	const head, tail = `{"alg":"` + string(algorithm) + `","value":"`, `"}`
	n := base64.RawURLEncoding.EncodedLen(len(c.send))
	body := make([]byte, len(head)+n+len(tail))
	copy(body, head)
	base64.RawURLEncoding.Encode(body[len(head):], c.send)
	copy(body[len(head)+n:], tail)
	if r.Body != nil {
		_ = r.Body.Close()
	}
	r.ContentLength, r.GetBody = int64(len(body)), nil
	r.Body = &wipedBody{bytes.NewReader(body), body}
}

// wipedBody is wiped when the transport is done with it.
type wipedBody struct {
	*bytes.Reader
	body []byte
}

func (b *wipedBody) Close() error { clear(b.body); return nil }

// WriteTo would hand the buffer on to whoever copies; nothing here needs it.
func (b *wipedBody) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(b.body[len(b.body)-b.Len():])
	_, _ = b.Seek(int64(n), io.SeekCurrent)
	return int64(n), err
}

// maxKeyAnswer is the longest answer to an unwrap that is looked into.
const maxKeyAnswer = 16 << 10

// unload takes the key out of the answer to an unwrap. An answer that it does
// not understand goes to the SDK as it is.
func (c *carried) unload(res *http.Response) error {
	buffer := make([]byte, maxKeyAnswer)
	n, err := io.ReadFull(res.Body, buffer)
	answer := buffer[:n]
	if err == nil { // longer than any honest answer
		res.Body = &joined{io.MultiReader(bytes.NewReader(answer), res.Body), res.Body}
		return nil
	}
	if err != io.EOF && err != io.ErrUnexpectedEOF {
		clear(buffer)
		_ = res.Body.Close()
		return err
	}
	_ = res.Body.Close()
	if value := member(answer, `"value"`); value != nil {
		key := make([]byte, base64.RawURLEncoding.DecodedLen(len(value)))
		if n, err := base64.RawURLEncoding.Decode(key, value); err == nil {
			clear(c.got)
			c.got = key[:n]
			for i := range value {
				value[i] = 'A' // zeros, as the SDK reads it
			}
		} else {
			clear(key)
		}
	}
	res.Body = &wipedBody{bytes.NewReader(answer), answer}
	return nil
}

type joined struct {
	io.Reader
	io.Closer
}

// member finds the text of a member that holds a string without escapes; nil
// when there is none.
func member(object []byte, name string) []byte {
	_, rest, found := bytes.Cut(object, []byte(name))
	if !found {
		return nil
	}
	rest = bytes.TrimLeft(rest, " \t\r\n")
	if len(rest) == 0 || rest[0] != ':' {
		return nil
	}
	rest = bytes.TrimLeft(rest[1:], " \t\r\n")
	if len(rest) == 0 || rest[0] != '"' {
		return nil
	}
	value, _, found := bytes.Cut(rest[1:], []byte{'"'})
	if !found {
		return nil
	}
	return bytes.TrimRight(value, "=")
}
