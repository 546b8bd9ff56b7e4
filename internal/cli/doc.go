// Package cli holds the subcommands of the kustos binary. Commands that look
// at a running server read its connection file and reach it over the public
// APIs only; starting a server and the engine child are handed in by main, so
// that this package never imports the planes.
package cli
