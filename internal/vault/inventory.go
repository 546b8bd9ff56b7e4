package vault

import "strings"

// Operation is one operation of the data plane, for documents.
type Operation struct {
	Method, Path string // "POST", "/keys/{name}/create"
	Refused      bool   // known, and refused by name
}

// Operations lists the data plane's operations in the order they are matched.
func Operations() []Operation {
	var out []Operation
	for _, r := range routes() {
		out = append(out, Operation{r.method, "/" + strings.TrimPrefix(r.pattern, "/"), r.refusal != nil})
	}
	return out
}
