// Package rotation measures a change of a cluster's key against the number of
// extents: it must not depend on it, and no data file may be written.
package rotation
