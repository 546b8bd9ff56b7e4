// Package token splits query text into tokens with byte offsets.
//
// Token is one lexical element; Lex turns a whole text into tokens or reports where it stopped making sense. Words are
// never reserved here: whether "count" is an operator or a column is the parser's decision.
//
// The package must never change or normalise the text it reads, and must accept any byte sequence without panicking.
package token
