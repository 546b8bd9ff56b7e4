package vault

import (
	"reflect"
	"strings"
)

// Operation is one operation of the data plane, for documents.
type Operation struct {
	Method, Path string // "POST", "/keys/{name}/create"
	Refused      bool   // known, and refused by name
}

// Operations lists the data plane's operations in the order they are matched.
func Operations() []Operation {
	// Every closure that refuse makes has the same code.
	refusal := reflect.ValueOf(refuse(nil)).Pointer()
	var out []Operation
	for _, r := range routes() {
		out = append(out, Operation{r.method, "/" + strings.TrimPrefix(r.pattern, "/"), r.serve != nil && reflect.ValueOf(r.serve).Pointer() == refusal})
	}
	return out
}
