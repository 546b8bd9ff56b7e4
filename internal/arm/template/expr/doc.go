// Package expr reads the expression language of templates: the text between
// the brackets of "[concat('a', parameters('b').c[0])]".
//
// [Parse] turns text into an [Expr] tree whose String prints an expression
// that parses to the same tree; [IsExpression] and [Literal] decide what a
// template string is. Errors carry the service's texts. Nothing is evaluated
// here and the package does no I/O.
package expr
