package template

import (
	"errors"
	"fmt"

	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/expr"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/azerr"
)

const (
	seeParameters = "Please see https://aka.ms/arm-create-parameter-file for usage details."
	seeSyntax     = "Please see https://aka.ms/arm-syntax for usage details."
	seeResources  = "Please see https://aka.ms/arm-syntax-resources for usage details."
	seeNested     = "Please see https://aka.ms/arm-deployment-resource for usage details."
	seeCopy       = "Please see https://aka.ms/arm-copy for usage details."
)

// invalid refuses the template at a node. The reason is a whole sentence
// without its full stop when no "Please see" follows.
func invalid(n *relaxed.Node, path, format string, args ...any) *azerr.Error {
	line, column := 0, 0
	if n != nil {
		line, column = n.Line, n.Column
	}
	return azerr.InvalidTemplate(fmt.Sprintf(format, args...), line, column, path)
}

// reason is the text of an evaluation error for use inside a larger sentence.
func reason(err error) string {
	var wire *azerr.Error
	if errors.As(err, &wire) {
		return wire.Message
	}
	return err.Error()
}

// isOurs tells an evaluation's refusal from a failure of what the evaluation
// asked (a dispatcher, a store), which keeps its own error.
func isOurs(err error) bool {
	var e *eval.Error
	var syntax *expr.Error
	return errors.As(err, &e) || errors.As(err, &syntax)
}

// isRefusal tells any refusal of the template from a failure of the server.
func isRefusal(err error) bool {
	var wire *azerr.Error
	return isOurs(err) || deferredIn(err) || errors.As(err, &wire)
}

func deferred(err error) (*eval.Deferred, bool) {
	var d *eval.Deferred
	ok := errors.As(err, &d)
	return d, ok
}
