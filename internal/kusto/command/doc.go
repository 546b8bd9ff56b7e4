// Package command parses control commands: texts that begin with a dot. It is
// pure. [Parse] returns one of the command types and, for a .show command, the
// query text that is piped behind it. A command that is not built is a syntax
// error that names it.
package command
