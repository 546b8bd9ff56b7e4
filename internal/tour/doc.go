// Package tour runs the product's story on a fresh temporary instance, through
// the public APIs alone, as an Azure client would: a cluster deployed by
// template, an identity, a vault, a key, the template again with
// keyVaultProperties, real rows, and the evidence that what lies on the disk is
// worthless without the key.
//
// It never imports a plane: everything it knows about the server it reads from
// connection.json and from answers.
package tour
