// Package cluster is the runtime of Kusto clusters: keys, catalogue, write
// ahead log, extents and one engine child for each running cluster. [Service]
// lists what it does for the provider and the data plane.
//
// It must never acknowledge a row that is not durable, never write a row in
// clear to a disk, never answer while the key is away, and never lose a row
// because a key was.
package cluster
