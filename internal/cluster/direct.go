package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/engine"
)

// IngestParquet makes an extent of a Parquet file.
func (r *Runtime) IngestParquet(ctx context.Context, id, database, table string, file io.Reader, size int64, columns map[string]string) (int64, error) {
	in, err := received(file, size)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	return r.direct(ctx, id, database, table, func(ctx context.Context, s *session, child engine.Child, meta catalog.Table, out *os.File) (int64, error) {
		spec := engine.Import{}
		for _, c := range meta.Columns {
			spec.Columns = append(spec.Columns, engine.ImportColumn{Name: c.Physical(), Type: string(c.Type), Source: columns[c.Name]})
		}
		for name := range columns {
			if !slices.ContainsFunc(meta.Columns, func(c catalog.Column) bool { return c.Name == name }) {
				return 0, fmt.Errorf("table %s has no column %s: %w", table, name, ErrSchema)
			}
		}
		rows, err := child.Import(ctx, in, spec, out)
		var fault *engine.Fault
		if errors.As(err, &fault) && fault.Kind == engine.BadData {
			return 0, fmt.Errorf("%s: %w", fault.Message, ErrSchema)
		}
		return rows, err
	})
}

// received copies a file that came from outside into a sealed memfd.
func received(file io.Reader, size int64) (*os.File, error) {
	in, err := engine.NewMemfd("upload")
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(in, io.LimitReader(file, size+1))
	if err == nil && n != size {
		err = fmt.Errorf("the file does not have the %d bytes it should: %w", size, ErrSchema)
	}
	if err == nil {
		err = engine.Seal(in)
	}
	if err != nil {
		in.Close()
		return nil, fmt.Errorf("receive file: %w", err)
	}
	return in, nil
}

// IngestQuery makes an extent of a query's result. Its columns are taken by
// position and must have the table's storage types.
func (r *Runtime) IngestQuery(ctx context.Context, id, database, table string, q Query) (int64, error) {
	return r.direct(ctx, id, database, table, func(ctx context.Context, s *session, child engine.Child, meta catalog.Table, out *os.File) (int64, error) {
		dbs, err := s.concerned(q)
		if err != nil {
			return 0, err
		}
		leave, err := admit(dbs)
		if err != nil {
			return 0, err
		}
		defer leave()
		ctx, end := s.during(ctx, dbs...)
		defer end()
		b, err := s.bind(ctx, child, q)
		if err != nil {
			return 0, err
		}
		defer b.release()
		names := make([]string, len(meta.Columns))
		casts := make([]string, len(meta.Columns))
		for i, c := range meta.Columns {
			names[i] = fmt.Sprintf("v%d", i)
			casts[i] = fmt.Sprintf("CAST(%s AS %s) AS %s", names[i], c.Type.Storage(), c.Physical())
			if !c.Type.Nullable() {
				casts[i] = fmt.Sprintf("coalesce(CAST(%s AS %s), '') AS %s", names[i], c.Type.Storage(), c.Physical())
			}
		}
		st := b.statement
		st.SQL = "SELECT " + strings.Join(casts, ", ") + " FROM (" + st.SQL + ") AS q(" + strings.Join(names, ", ") + ")"
		n, err := child.Export(ctx, st, out)
		if err != nil {
			err = b.explain(ctx, err)
		}
		return n, err
	})
}

// errNoRows says that there is nothing to make an extent of.
var errNoRows = errors.New("no rows")

// direct commits what write gives as one extent of a table.
func (r *Runtime) direct(ctx context.Context, id, database, table string, write func(ctx context.Context, s *session, child engine.Child, meta catalog.Table, out *os.File) (int64, error)) (int64, error) {
	s, err := r.session(ctx, id)
	if err != nil {
		return 0, err
	}
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	t, err := s.table(database, table)
	if err != nil {
		return 0, err
	}
	if err := t.db.lease.enter(); err != nil {
		return 0, err
	}
	defer t.db.lease.leave()
	ctx, end := s.during(ctx, t.db)
	defer end()
	rows, err := t.direct(ctx, func(child engine.Child, meta catalog.Table, out *os.File) (int64, error) {
		return write(ctx, s, child, meta, out)
	})
	return rows, t.db.ended(fullDisk(s.refusal(ctx, err)))
}

func (t *table) direct(ctx context.Context, write func(child engine.Child, meta catalog.Table, out *os.File) (int64, error)) (int64, error) {
	child, _, err := t.s.engine.acquire()
	if err != nil {
		return 0, err
	}
	defer t.s.engine.release()
	t.mu.RLock()
	meta, dropped := t.meta, t.dropped
	t.mu.RUnlock()
	if dropped {
		return 0, fmt.Errorf("table %s: %w", meta.Name, catalog.ErrNotFound)
	}
	if len(meta.Columns) == 0 {
		return 0, fmt.Errorf("table %s has no columns: %w", meta.Name, ErrSchema)
	}
	e, err := t.makeExtent(ctx, child, meta, meta.Columns, func(out *os.File) (int64, error) {
		n, err := write(child, meta, out)
		if err == nil && n == 0 {
			err = errNoRows
		}
		return n, err
	}, t.adding(0))
	if errors.Is(err, errNoRows) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	return e.Stats.Rows, t.admit(e)
}

// admit makes a committed extent visible.
func (t *table) admit(e catalog.Extent) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dropped {
		// The table went after the commit, and the extent with it.
		t.s.removeExtents([]catalog.Extent{e})
		return fmt.Errorf("table %s: %w", t.meta.Name, catalog.ErrNotFound)
	}
	t.extents = append(t.extents, e)
	return nil
}
