// Package crash kills the server, its engine child, a backup and a restore with
// SIGKILL, and looks for every acknowledged row and deed after the restart: at
// random under ingestion, and before each system call that changes a file
// (`-crash.points=all`, as root).
//
// What the product writes, and the life in which it is killed there:
//
//	seal file, barrier.json, ca.pem, connection.json     life: start, operator
//	state.db, its log, its truncation by a scrub         every life; the checkpoint that SQLite makes
//	                                                     by itself at 1,000 pages is the same code and is not forced
//	audit log: a file begun by a start, by size; its     life; trouble: audit log; recovery (a torn end is cut,
//	end; no file is ever removed                         an empty file removed)
//	log segments: made, appended, ended, removed         life: ingest, seal, re-encrypt
//	log segments: cut back after a write that failed     trouble: torn write
//	extents: made, linked, removed                       life: seal, extents, merge, retention, drop, re-encrypt
//	extents: given up on a full disk                     trouble: full disk
//	keys of clusters and databases: changed, followed,   life; trouble: revoke, restore
//	taken away, given back
//	a cluster stopped and started by its user            trouble
//	folders of databases and clusters: made, removed     trouble: delete database, delete cluster
//	what a start puts in order: replay, orphans, files   recovery
//	aside, a backup's stage, folders of what is gone
//	hot tier, caches                                     nothing is written: memory of the child (trouble: hot tier)
//	backup and restore                                   TestKillBackupAndRestore
//	keys and secrets of a vault                          state.db alone; test/vault kills there at random
//
// Not killed there: admin.sock, which each start makes anew; the folders of
// `kustos env` and `kustos run`; reports of a drill and of the tour.
package crash
