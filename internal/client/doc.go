// Package client is a small Azure client of a Kustos server, for the tour and
// for black-box tests: [Client] speaks the public APIs through the proxy,
// [Instance] runs a server of a given binary.
//
// It never imports a plane: everything it knows about the server it reads from
// connection.json and from answers.
package client
