package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/store"
)

// Databases lists a cluster's databases by name, in every phase.
func (r *Runtime) Databases(ctx context.Context, id string) (out []catalog.Database, err error) {
	n, err := r.node(ctx, id)
	if err != nil {
		return nil, err
	}
	err = r.cfg.Store.View(ctx, func(tx store.Tx) error {
		out, err = n.cat.Databases(tx)
		return err
	})
	slices.SortFunc(out, func(a, b catalog.Database) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

// Database gives one database, in every phase.
func (r *Runtime) Database(ctx context.Context, id, name string) (db catalog.Database, err error) {
	n, err := r.node(ctx, id)
	if err != nil {
		return db, err
	}
	err = r.cfg.Store.View(ctx, func(tx store.Tx) error {
		db, err = n.cat.FindDatabase(tx, name)
		return err
	})
	return db, err
}

// CreateDatabase makes a database and its key; the cluster must run.
func (r *Runtime) CreateDatabase(ctx context.Context, id string, db catalog.Database) error {
	return r.change(ctx, id, func(s *session) error {
		err := s.store.Update(ctx, func(tx store.Tx) (err error) {
			if db, err = s.cat.CreateDatabase(tx, db); err != nil {
				return err
			}
			_, err = s.ring.NewDatabaseKey(tx, db.ID)
			return err
		})
		if err != nil {
			return err
		}
		s.names.Lock()
		defer s.names.Unlock()
		s.dbs[db.ID] = newDatabase(s, db.ID, db.Name)
		return nil
	})
}

// change runs a change of a running cluster's catalogue, one at a time.
func (r *Runtime) change(ctx context.Context, id string, fn func(s *session) error) error {
	s, err := r.session(ctx, id)
	if err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.ddl.Lock()
	defer s.ddl.Unlock()
	return s.ended(fn(s))
}

// ifRunning gives the session, nil when the cluster does not run, and keeps it
// from changing its phase until release.
func (r *Runtime) ifRunning(ctx context.Context, id string) (n *node, s *session, release func(), err error) {
	if n, err = r.node(ctx, id); err != nil {
		return nil, nil, nil, err
	}
	n.turn.Lock()
	if s, err = n.running(); err != nil {
		if !errors.Is(err, ErrNotRunning) {
			n.turn.Unlock()
			return nil, nil, nil, err
		}
		return n, nil, n.turn.Unlock, nil
	}
	s.ddl.Lock()
	return n, s, func() { s.ddl.Unlock(); n.turn.Unlock() }, nil
}

// UpdateDatabase replaces SoftDelete and HotCache, in every phase.
func (r *Runtime) UpdateDatabase(ctx context.Context, id string, db catalog.Database) error {
	n, _, release, err := r.ifRunning(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	return r.cfg.Store.Update(ctx, func(tx store.Tx) error {
		now, err := n.cat.FindDatabase(tx, db.Name)
		if err != nil {
			return err
		}
		now.SoftDelete, now.HotCache = db.SoftDelete, db.HotCache
		return n.cat.PutDatabase(tx, now)
	})
}

// DeleteDatabase drops a database with its tables and files, in every phase.
func (r *Runtime) DeleteDatabase(ctx context.Context, id, name string) error {
	n, s, release, err := r.ifRunning(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	var gone catalog.Database
	var segments map[string]bool
	err = r.cfg.Store.Update(ctx, func(tx store.Tx) error {
		if gone, err = n.cat.FindDatabase(tx, name); err != nil {
			return err
		}
		if segments, _, err = n.cat.Segments(tx, gone.ID); err != nil {
			return err
		}
		return errors.Join(n.cat.DeleteDatabase(tx, gone.ID), n.ring.DeleteDatabase(tx, gone.ID), forgetSuspension(tx, n.spec.ID, gone.ID))
	})
	if err != nil {
		return err
	}
	r.scrub(ctx, n.spec.ID)
	if k := n.ownKeyIfAny(gone.ID); k != nil {
		k.wake() // its keeper ends
	}
	if s == nil {
		// Its extents are orphans, collected at the next start. Of its log a
		// damaged segment might not be known for an orphan then.
		if err := removeLog(r.cfg, filepath.Join(r.dir(n.spec.ID), "wal"), gone.ID, segments); err != nil {
			r.cfg.Log.Warn("log of a dropped database cannot be removed", "database", gone.ID, "error", err)
		}
		return nil
	}
	s.names.Lock()
	db := s.dbs[gone.ID]
	delete(s.dbs, gone.ID)
	for id, closed := range s.closedTables {
		if closed == db {
			delete(s.closedTables, id)
		}
	}
	for _, t := range db.tables {
		delete(s.byID, t.id)
	}
	s.names.Unlock()
	for _, t := range db.tables {
		t.drop()
	}
	db.journal.remove()
	defer s.cfg.removing()()
	if err := os.RemoveAll(s.extentDir(gone.ID)); err != nil {
		s.log.Warn("files of a dropped database cannot be removed", "database", gone.ID, "error", err)
	}
	return nil
}

// drop lets a table go that the catalogue does not name any more: queries that
// run keep what they have, nothing new comes in.
func (t *table) drop() {
	t.mu.Lock()
	t.dropped = true
	extents, buffers := t.extents, t.frozen
	if t.active != nil {
		buffers = append(buffers, t.active)
	}
	t.extents, t.frozen, t.active = nil, nil, nil
	t.mu.Unlock()
	for _, b := range buffers {
		b.retire(t.s)
	}
	t.s.removeExtents(extents)
}

// CreateTable makes a table; the catalogue gives ids to it and its columns.
func (r *Runtime) CreateTable(ctx context.Context, id, database string, t catalog.Table) (made catalog.Table, err error) {
	err = r.change(ctx, id, func(s *session) error {
		db, err := s.database(database)
		if err != nil {
			return err
		}
		t.DatabaseID, t.ID = db.id, ""
		err = s.store.Update(ctx, func(tx store.Tx) (err error) {
			made, err = s.cat.CreateTable(tx, t)
			return err
		})
		if err != nil {
			return err
		}
		s.names.Lock()
		defer s.names.Unlock()
		live := newTable(s, db, made)
		db.tables[made.Name] = live
		s.byID[made.ID] = live
		return nil
	})
	return made, err
}

// AlterTable replaces columns, folder and doc string.
func (r *Runtime) AlterTable(ctx context.Context, id, database string, t catalog.Table) (made catalog.Table, err error) {
	err = r.change(ctx, id, func(s *session) error {
		live, err := s.table(database, t.Name)
		if err != nil {
			return err
		}
		made, err = live.alter(ctx, t)
		return err
	})
	return made, err
}

// alter freezes the buffer of the old columns first: it is sealed as it is.
func (t *table) alter(ctx context.Context, want catalog.Table) (made catalog.Table, err error) {
	t.sealing.Lock()
	defer t.sealing.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	want.ID, want.DatabaseID = t.id, t.meta.DatabaseID
	err = t.s.store.Update(ctx, func(tx store.Tx) (err error) {
		made, err = t.s.cat.AlterTable(tx, want)
		return err
	})
	if err != nil {
		return catalog.Table{}, err
	}
	if t.active != nil {
		t.frozen = append(t.frozen, t.active)
		t.active = nil
	}
	t.meta = made
	return made, nil
}

// DropTable removes a table with its extents.
func (r *Runtime) DropTable(ctx context.Context, id, database, table string) error {
	return r.change(ctx, id, func(s *session) error {
		t, err := s.table(database, table)
		if err != nil {
			return err
		}
		err = s.store.Update(ctx, func(tx store.Tx) error { return s.cat.DeleteTable(tx, t.db.id, t.id) })
		if err != nil {
			return err
		}
		s.names.Lock()
		delete(t.db.tables, table)
		delete(s.byID, t.id)
		s.names.Unlock()
		t.drop()
		if _, _, err := s.engine.acquire(); err != nil {
			return nil // the next seal prunes
		}
		defer s.engine.release()
		t.db.journal.prune()
		return nil
	})
}

// Tables lists a database's tables by name.
func (r *Runtime) Tables(ctx context.Context, id, database string) (out []catalog.Table, err error) {
	err = r.read(ctx, id, func(s *session) error {
		s.names.RLock()
		defer s.names.RUnlock()
		db, err := s.find(database)
		if err != nil {
			return err
		}
		for _, t := range db.tables {
			out = append(out, t.copyMeta())
		}
		return nil
	})
	slices.SortFunc(out, func(a, b catalog.Table) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

// read runs a look at a running cluster.
func (r *Runtime) read(ctx context.Context, id string, fn func(s *session) error) error {
	s, err := r.session(ctx, id)
	if err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.ended(fn(s))
}

func (t *table) copyMeta() catalog.Table {
	t.mu.RLock()
	defer t.mu.RUnlock()
	meta := t.meta
	meta.Columns = slices.Clone(meta.Columns)
	return meta
}

// Table gives one table.
func (r *Runtime) Table(ctx context.Context, id, database, table string) (meta catalog.Table, err error) {
	err = r.read(ctx, id, func(s *session) error {
		t, err := s.table(database, table)
		if err == nil {
			meta = t.copyMeta()
		}
		return err
	})
	return meta, err
}

// TableStats gives a table's size.
func (r *Runtime) TableStats(ctx context.Context, id, database, table string) (st catalog.TableStats, err error) {
	err = r.read(ctx, id, func(s *session) error {
		t, err := s.table(database, table)
		if err == nil {
			st = t.stats()
		}
		return err
	})
	return st, err
}

// TablePolicy gives one policy body; an empty table means the database's own.
func (r *Runtime) TablePolicy(ctx context.Context, id, database, table string, kind catalog.PolicyKind) (body json.RawMessage, err error) {
	err = r.policy(ctx, id, database, table, func(s *session, databaseID, tableID string) error {
		return s.store.View(ctx, func(tx store.Tx) (err error) {
			body, err = s.cat.Policy(tx, databaseID, tableID, kind)
			return err
		})
	})
	return body, err
}

// SetTablePolicy replaces a policy body; nil deletes it.
func (r *Runtime) SetTablePolicy(ctx context.Context, id, database, table string, kind catalog.PolicyKind, body json.RawMessage) error {
	return r.policy(ctx, id, database, table, func(s *session, databaseID, tableID string) error {
		s.ddl.Lock()
		defer s.ddl.Unlock()
		return s.store.Update(ctx, func(tx store.Tx) error { return s.cat.SetPolicy(tx, databaseID, tableID, kind, body) })
	})
}

func (r *Runtime) policy(ctx context.Context, id, database, table string, fn func(s *session, databaseID, tableID string) error) error {
	return r.read(ctx, id, func(s *session) error {
		db, err := s.database(database)
		if err != nil {
			return err
		}
		if table == "" {
			return fn(s, db.id, "")
		}
		t, err := s.table(database, table)
		if err != nil {
			return err
		}
		return fn(s, db.id, t.id)
	})
}

// PutGrant adds or replaces a data-plane grant inside the caller's transaction.
func (r *Runtime) PutGrant(tx store.Tx, id string, g catalog.Grant) error {
	return catalog.New(strings.ToLower(id), nil, r.cfg.Now).PutGrant(tx, g)
}

// DeleteGrant removes a data-plane grant inside the caller's transaction.
func (r *Runtime) DeleteGrant(tx store.Tx, id, grantID string) error {
	return catalog.New(strings.ToLower(id), nil, r.cfg.Now).DeleteGrant(tx, grantID)
}

// Grants lists the data-plane grants, in every phase.
func (r *Runtime) Grants(ctx context.Context, id string) (out []catalog.Grant, err error) {
	n, err := r.node(ctx, id)
	if err != nil {
		return nil, err
	}
	err = r.cfg.Store.View(ctx, func(tx store.Tx) error {
		out, err = n.cat.Grants(tx)
		return err
	})
	return out, err
}
