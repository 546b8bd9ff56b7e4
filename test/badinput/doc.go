// Package badinput sends a running server what it must refuse, and looks that
// the refusal is the documented one, that nothing was half done, and that the
// server answers everybody else as before.
package badinput
