// Package catalog holds what a cluster knows about its data: databases,
// tables, columns, extents, policies and grants. The types that matter are
// [Database], [Table] and [Column]; [Grant] says who may do what on the data
// plane.
//
// Names, ids and sizes are our own state and rest on the store's barrier.
// What tells something about the rows (extent statistics, policy and function
// bodies) is the customer's data: it must be sealed under the database key
// before it reaches the store, and must not be readable while the key is away.
package catalog
