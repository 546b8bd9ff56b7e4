package template

import (
	"errors"
	"fmt"
	"strings"

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

// malformed refuses a template that does not have the form of one. The service
// reads a template in a request together with the request, and one behind a
// link by itself; one inside another it looks at when it validates the outer.
func (p *Program) malformed(line, column int, path, format string, args ...any) *azerr.Error {
	text := fmt.Sprintf(format, args...)
	switch {
	case p.src.Link != nil:
		path = strings.TrimPrefix(strings.TrimPrefix(path, p.src.Path), ".")
		return azerr.InvalidTemplateParse(placed(text, path, line, column))
	case p.src.Depth == 0:
		return azerr.InvalidRequestContent(placed(text, path, line, column))
	}
	return azerr.InvalidTemplate(placed(text, path, line, column), line, column, path)
}

// placed is how the reader of JSON says where something is.
func placed(text, path string, line, column int) string {
	return fmt.Sprintf("%s. Path '%s', line %d, position %d.", text, path, line, column)
}

// unknownMember refuses a member that objects of a type of the service's do not have.
func (p *Program) unknownMember(m relaxed.Member, typ, path string) *azerr.Error {
	return p.malformed(m.Line, m.Column, path+"."+m.Name, "Could not find member '%s' on object of type '%s'", m.Name, typ)
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
