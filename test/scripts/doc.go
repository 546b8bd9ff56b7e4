// Package scripts holds the user stories as txtar scripts: start, deploy,
// query, rotate, revoke, restore, and everything that is refused. Each file in
// testdata is one story and readable as documentation.
package scripts
