package extent

import "sync"

// buffers are what reading a few chunks needs; plain is zeroed before they are
// put back.
type buffers struct {
	cipherText []byte
	plain      []byte
	nonce, aad []byte // neither is secret
}

// buffersPool holds nothing but zeros and old ciphertext, so it is no state.
var buffersPool sync.Pool

// takeBuffers gives buffers of at least these sizes. A new one is made for a
// whole read at once, so that it fits the next time.
func takeBuffers(cipherText, plain int) *buffers {
	b, _ := buffersPool.Get().(*buffers)
	if b == nil {
		b = new(buffers)
	}
	if len(b.cipherText) < cipherText {
		b.cipherText = make([]byte, cipherText)
	}
	if len(b.plain) < plain {
		b.plain = make([]byte, plain)
	}
	return b
}
