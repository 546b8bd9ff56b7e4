package provider

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

// JSON is the body as the front door would write it, nil for an empty one.
func (r *Response) JSON() (json.RawMessage, error) {
	switch body := r.Body.(type) {
	case nil:
		return nil, nil
	case json.RawMessage:
		return body, nil
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r.Body); err != nil {
		return nil, fmt.Errorf("encode response: %w", err)
	}
	return bytes.TrimRight(buf.Bytes(), "\n"), nil
}

// NotFound is the error for a resource that does not exist.
func NotFound(id ids.ID) *azerr.Error {
	path := id.Namespace
	for _, s := range id.Segments {
		path += "/" + s.Type + "/" + s.Name
	}
	return azerr.ResourceNotFound(path, id.ResourceGroup)
}
