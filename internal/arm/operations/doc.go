// Package operations runs the long-running work of the control plane:
// creating a cluster, deleting a resource group, a deployment.
//
// A provider records an [Operation] in the same transaction that records its
// intent ([Manager.Start]) and calls [Manager.Launch] after the commit. The
// [Manager] runs it in the background, stores how it ended, and runs it again
// from the start when the process died in between ([Manager.Resume]): a runner
// must therefore be idempotent.
//
// It must never lose an operation whose Start was committed, never report one
// as finished before its runner returned, and never log a payload or a result.
package operations
