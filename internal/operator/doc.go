// Package operator is the way in for whoever runs the server: seal, unseal,
// rekey, rotate, status, and the audit log, over the socket admin.sock in the
// data folder (mode 0600), which works while the server is sealed.
//
// [Serve] answers for a [Backend], which the server is; [Client] is what the
// command line uses. Who may open the socket may do all of it: it must never be
// reachable over a network, and it gives out no key.
package operator
