// Package storetest is the suite every driver of store must pass: [Run] for
// the contract of Store and Tx, [RunDurable] for drivers that keep files.
package storetest
