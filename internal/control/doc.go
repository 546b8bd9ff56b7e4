// Package control serves the control API of a rehearsal: moving the manual
// clock and setting faults on the key path. [New] makes its handler from the
// clock and the faults it drives.
//
// It listens on a loopback address of its own, only when asked, and every
// request carries the bearer token of connection.json. It must never touch a
// key, a row or an identity: what it does, an unlucky night could do too.
package control
