package ingest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// path is a JSON path: $.a.b, $['x y'], $.list[0]. The zero path finds nothing;
// the root path "$" has one empty step.
type path []step

type step struct {
	name  string
	index int
	array bool
	root  bool
}

// parsePath reads a JSON path; the error names the text.
func parsePath(text string) (path, error) {
	rest, ok := strings.CutPrefix(text, "$")
	if !ok {
		return nil, fmt.Errorf("path '%s' does not begin with $", text)
	}
	if rest == "" {
		return path{{root: true}}, nil
	}
	var p path
	for rest != "" {
		switch {
		case strings.HasPrefix(rest, "['"), strings.HasPrefix(rest, `["`):
			end := strings.Index(rest[2:], rest[1:2]+"]")
			if end < 0 {
				return nil, fmt.Errorf("path '%s' has an unclosed bracket", text)
			}
			p, rest = append(p, step{name: rest[2 : 2+end]}), rest[end+4:]
		case rest[0] == '[':
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, fmt.Errorf("path '%s' has an unclosed bracket", text)
			}
			n, err := strconv.Atoi(rest[1:end])
			if err != nil || n < 0 {
				return nil, fmt.Errorf("path '%s' has an index that is not a number", text)
			}
			p, rest = append(p, step{index: n, array: true}), rest[end+1:]
		case rest[0] == '.':
			name := rest[1:]
			if i := strings.IndexAny(name, ".["); i >= 0 {
				name = name[:i]
			}
			if name == "" {
				return nil, fmt.Errorf("path '%s' has an empty name", text)
			}
			p, rest = append(p, step{name: name}), rest[1+len(name):]
		default:
			return nil, fmt.Errorf("path '%s' is not a JSON path", text)
		}
	}
	return p, nil
}

// find walks the path in record v, whose members were decoded once for all
// columns; nil when a step is missing.
func (p path) find(v json.RawMessage, members map[string]json.RawMessage) json.RawMessage {
	if len(p) == 0 {
		return nil
	}
	for i, s := range p {
		switch {
		case s.root:
		case s.array:
			var items []json.RawMessage
			if json.Unmarshal(v, &items) != nil || s.index >= len(items) {
				return nil
			}
			v = items[s.index]
		default:
			inner := members
			if i > 0 {
				inner = nil
				if json.Unmarshal(v, &inner) != nil {
					return nil
				}
			}
			v = inner[s.name]
		}
	}
	return v
}
