// Package relaxed reads the JSON that deployment requests are made of. Clients
// paste the text of a template file behind an unquoted key, so the reader
// accepts what the service's own reader accepts: unquoted and single-quoted
// names, single-quoted strings, strings that run over several lines, comments
// of both kinds and trailing commas. It keeps member order, exact integers and
// the line and column of every node in the request as it was received.
//
// [Parse] gives a [Node] tree; [Node.Value] drops the positions. The package
// does no I/O and never guesses: what it cannot read is a [SyntaxError] with
// its place.
package relaxed
