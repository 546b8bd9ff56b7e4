package cluster

import (
	"context"
	"slices"

	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wal"
)

// The catalogue lists the segments of each log. One is listed when its header is
// durable and before a record is in it, and taken off before its file is removed: a
// segment that is listed and not there was lost, and so may have been rows that
// were acknowledged. Of one whose header tells nothing any more it says whose it is.

// begun lists a segment that was made.
func (j *journal) begun(s wal.Segment) error { return j.list(s) }

// list adds segments. It goes on when the session ends: nobody could tell else
// whether they were listed.
func (j *journal) list(segments ...wal.Segment) error {
	return j.s.store.Update(context.WithoutCancel(j.s.ctx), func(tx store.Tx) error {
		for _, s := range segments {
			if err := j.s.cat.AddSegment(tx, j.database, s.ID, s.Sequence); err != nil {
				return err
			}
		}
		return nil
	})
}

// delist takes segments off that are about to be removed.
func (j *journal) delist(segments []string) error {
	return j.s.store.Update(j.s.ctx, func(tx store.Tx) error {
		return j.s.cat.RemoveSegments(tx, j.database, segments)
	})
}

// expect makes the journal know the segments that the catalogue lists.
func (j *journal) expect(tx store.Tx) error {
	listed, givenUp, err := j.s.cat.Segments(tx, j.database)
	if err != nil {
		return err
	}
	j.listed, j.givenUp = listed, givenUp
	j.keep(listed)
	return nil
}

// listRest lists what a scan found beyond what is listed: what a crash left, or a log
// from before there was a list.
func (j *journal) listRest() error {
	rest := slices.DeleteFunc(j.found, func(s wal.Segment) bool { return j.listed[s.ID] })
	j.found = nil
	if len(rest) == 0 {
		return nil
	}
	return j.list(rest...)
}

// recover is [wal.Recover] but for segments that were given up.
func (j *journal) recover(ctx context.Context, segments []wal.Segment, fn func(s wal.Segment, record []byte) error) (all []wal.Result, err error) {
	for _, run := range wal.Runs(segments, func(n uint64) bool { return j.givenUp[n] }) {
		results, err := wal.Recover(ctx, run, j.s.ring, fn)
		all = append(all, results...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}
