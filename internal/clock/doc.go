// Package clock is the one clock of all planes: [Clock] tells the time and
// wakes whoever waits for a date when the time is moved by hand.
//
// A real clock is the machine's. A manual one is the machine's plus an offset
// that only grows: time that was passed once stays passed. It must never go
// back, and it must not be used for TLS, whose peers live in real time.
package clock
