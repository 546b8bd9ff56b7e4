package arm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
)

// checkBody admits the body of an ordinary request: strict JSON in UTF-8, an
// object where a resource is written. It returns nil for an empty body.
func checkBody(req *provider.Request, t target) (json.RawMessage, error) {
	body := bytes.TrimSpace(bytes.TrimPrefix(req.Body, []byte("\xef\xbb\xbf")))
	write := req.Method == http.MethodPut || req.Method == http.MethodPatch
	if len(body) == 0 {
		if write && !t.typ.NoBody {
			return nil, azerr.InvalidRequestContent("A request body is required")
		}
		return nil, nil
	}
	if !utf8.Valid(body) {
		return nil, azerr.InvalidRequestContent("The content is not valid UTF-8")
	}
	if err := syntax(body); err != nil {
		return nil, err
	}
	if write && body[0] != '{' {
		return nil, azerr.InvalidRequestContent(fmt.Sprintf("An object is expected, not %s. Path '', line 1, position 1", kind(body[0])))
	}
	if write && t.typ.Tracked {
		if err := checkTags(body); err != nil {
			return nil, err
		}
	}
	return json.RawMessage(body), nil
}

// checkTags applies the rules of tags, which are the same for every resource.
func checkTags(body []byte) error {
	var members struct {
		Tags json.RawMessage `json:"tags"`
	}
	if err := json.Unmarshal(body, &members); err != nil || len(members.Tags) == 0 {
		return nil // whatever else is wrong with it is the provider's to say
	}
	_, err := provider.ParseTags(members.Tags)
	return err
}

// syntax finds the first place where body is not JSON.
func syntax(body []byte) error {
	if json.Valid(body) {
		return nil
	}
	var discard json.RawMessage
	err := json.Unmarshal(body, &discard)
	var at *json.SyntaxError
	if !errors.As(err, &at) {
		return azerr.InvalidRequestContent("The content is not JSON").Because(err)
	}
	offset := min(int(at.Offset), len(body))
	if at.Error() == "unexpected end of JSON input" {
		line, position := place(body, len(body))
		return azerr.InvalidRequestContent(fmt.Sprintf("Unexpected end when reading JSON. Path '', line %d, position %d", line, position))
	}
	line, position := place(body, offset)
	found := ""
	if offset > 0 {
		r, _ := utf8.DecodeRune(body[offset-1:])
		found = fmt.Sprintf(" Character: %q.", r)
	}
	return azerr.InvalidRequestContent(fmt.Sprintf("The JSON is malformed.%s Path '', line %d, position %d", found, line, position))
}

// place counts lines from 1 and positions from 1 within the line.
func place(body []byte, offset int) (line, position int) {
	before := body[:offset]
	line = 1 + bytes.Count(before, []byte("\n"))
	return line, offset - (bytes.LastIndexByte(before, '\n') + 1)
}

func kind(first byte) string {
	switch first {
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// bodyLocation is the top-level "location" of a body, "" when there is none.
func bodyLocation(body []byte) string {
	var b struct {
		Location string `json:"location"`
	}
	if json.Unmarshal(body, &b) != nil {
		return ""
	}
	return b.Location
}
