// Package arm measures deployments as a client sees them: through the real
// binary, over TLS.
package arm
