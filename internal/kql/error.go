package kql

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/kustos-io/kustos/internal/kql/bind"
	"github.com/kustos-io/kustos/internal/kql/parse"
	"github.com/kustos-io/kustos/internal/kql/sqlgen"
)

// Kind tells syntax errors from semantic ones.
type Kind int

// The kinds of error.
const (
	Syntax Kind = iota + 1
	Semantic
)

// Error is a refusal of a query or command. Line and Column count from 1, Column in characters; Offset is in bytes.
type Error struct {
	Kind                 Kind
	Code                 string // such as SYN0002 or SEM0100
	Message              string
	Line, Column, Offset int
}

// Error implements error; the message does not repeat the query text around the place.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

const codeSyntax = "SYN0002"

// located turns the errors of the inner packages into an *Error with its place in text.
func located(text string, err error) error {
	if err == nil {
		return nil
	}
	out := &Error{Kind: Semantic, Code: bind.CodeUnsupported, Message: err.Error()}
	pos := 0
	var pe *parse.Error
	var be *bind.Error
	var se *sqlgen.Error
	switch {
	case errors.As(err, &pe):
		pos = pe.Pos
		if !pe.Unsupported {
			out.Kind, out.Code = Syntax, codeSyntax
		}
	case errors.As(err, &be):
		pos, out.Code = be.Pos, be.Code
	case errors.As(err, &se):
		if strings.HasPrefix(se.Message, "BUG:") {
			panic(se.Message)
		}
	}
	pos = min(max(pos, 0), len(text))
	out.Offset = pos
	out.Line = 1 + strings.Count(text[:pos], "\n")
	out.Column = 1 + utf8.RuneCountInString(text[strings.LastIndexByte(text[:pos], '\n')+1:pos])
	return out
}
