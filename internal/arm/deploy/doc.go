// Package deploy is the deployment engine: Microsoft.Resources/deployments at
// every scope. It compiles the template of a request, checks it and asks the
// providers for theirs (preflight), records the deployment, and provisions its
// resources in the order of their dependencies.
//
// [Engine] is what the front door calls. Resources are written only through
// the front door's Dispatcher, as the principal that asked for the deployment,
// so every write is routed, authorised and locked like one that came over HTTP.
//
// A deployment survives the process: its request and the values of its
// parameters are kept, sealed, while it runs, and every resource that was
// finished is recorded, so that a restart goes on where the last one stopped.
// Values of secure parameters and outputs never appear in an answer, and what
// was kept for the run is deleted when it has ended.
package deploy
