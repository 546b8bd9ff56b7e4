package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/store"
)

// maintain merges small extents and drops those beyond their retention, from
// time to time until the session ends.
func (s *session) maintain() {
	s.regularly(s.cfg.MaintainInterval, nil, func() { s.reportMaintenance(s.maintainOnce(s.ctx)) })
}

// maintain does what is due of one table, nothing while its database is closed.
func (t *table) maintain(ctx context.Context) error {
	if t.db.lease.enter() != nil {
		return nil
	}
	defer t.db.lease.leave()
	ctx, end := t.s.during(ctx, t.db)
	defer end()
	err := errors.Join(t.expire(ctx), t.merge(ctx))
	if t.db.lease.closed() != nil {
		return nil
	}
	return err
}

func (s *session) reportMaintenance(err error) {
	if err != nil && s.ctx.Err() == nil && !errors.Is(err, ErrEngine) {
		s.log.Error("extents cannot be maintained", "error", err)
	}
}

// maintainOnce does what is due, of every table what can be done.
func (s *session) maintainOnce(ctx context.Context) error {
	s.maintaining.Lock()
	defer s.maintaining.Unlock()
	var errs []error
	for _, t := range s.allTables() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		errs = append(errs, t.maintain(ctx))
	}
	return errors.Join(errs...)
}

// Maintain does at once what the cluster does from time to time: it drops
// extents beyond their retention by the clock as it stands, and merges small ones.
func (r *Runtime) Maintain(ctx context.Context, id string) error {
	return r.read(ctx, id, func(s *session) error {
		ctx, end := s.during(ctx)
		defer end()
		return fullDisk(s.maintainOnce(ctx))
	})
}

// expire drops the extents that are older than the table's retention.
func (t *table) expire(ctx context.Context) error {
	period, ok, err := t.retention(ctx)
	if err != nil {
		return fmt.Errorf("retention of table %s: %w", t.id, err)
	}
	if !ok {
		return nil
	}
	limit := t.s.cfg.Now().Add(-period)
	t.mu.RLock()
	old := slices.DeleteFunc(slices.Clone(t.extents), func(e catalog.Extent) bool { return !e.Created.Before(limit) })
	dropped := t.dropped
	t.mu.RUnlock()
	if len(old) == 0 || dropped {
		return nil
	}
	ids := make([]string, len(old))
	for i, e := range old {
		ids[i] = e.ID
	}
	err = t.s.store.Update(ctx, func(tx store.Tx) error {
		return t.s.cat.RemoveExtents(tx, t.db.id, t.id, ids)
	})
	if errors.Is(err, catalog.ErrNotFound) {
		return nil // the table is being dropped
	} else if err != nil {
		return fmt.Errorf("retention of table %s: %w", t.id, err)
	}
	t.swap(old, nil)
	t.s.log.Info("extents beyond their retention dropped", "table", t.id, "extents", len(old), "period", period)
	return nil
}

// retention is how long the table's rows are kept: by its own policy, else by
// that of its database, else by the database's soft-delete period. false means
// for ever.
func (t *table) retention(ctx context.Context) (period time.Duration, ok bool, err error) {
	err = t.s.store.View(ctx, func(tx store.Tx) error {
		for _, table := range []string{t.id, ""} {
			body, err := t.s.cat.Policy(tx, t.db.id, table, catalog.PolicyRetention)
			if errors.Is(err, catalog.ErrNotFound) {
				continue
			} else if err != nil {
				return err
			}
			var policy struct{ SoftDeletePeriod *string }
			if err := json.Unmarshal(body, &policy); err != nil {
				return errors.New("the policy is not JSON")
			}
			if policy.SoftDeletePeriod != nil {
				period, ok, err = parsePeriod(*policy.SoftDeletePeriod)
				return err
			}
		}
		dbs, err := t.s.cat.Databases(tx)
		if err != nil {
			return err
		}
		for _, db := range dbs {
			if db.ID == t.db.id && db.SoftDelete != "" {
				period, ok, err = parsePeriod(db.SoftDelete)
				return err
			}
		}
		return nil
	})
	return period, ok, err
}

var (
	isoPeriod  = regexp.MustCompile(`^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?)?$`)
	kustoClock = regexp.MustCompile(`^(?:(\d+)\.)?(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.\d+)?$`)
)

// parsePeriod reads an ISO 8601 duration ("P31D") or a timespan as the policies
// write it ("31.00:00:00", "31d"). What is longer than a Duration can say is
// for ever.
func parsePeriod(text string) (period time.Duration, ok bool, err error) {
	text = strings.TrimSpace(text)
	m := isoPeriod.FindStringSubmatch(text)
	if m == nil || text == "P" || strings.HasSuffix(text, "T") {
		m = kustoClock.FindStringSubmatch(text)
	}
	if m == nil {
		days, isDays := strings.CutSuffix(text, "d")
		if _, err := strconv.ParseUint(days, 10, 63); err != nil || !isDays {
			return 0, false, fmt.Errorf("%q is not a period", text)
		}
		m = []string{text, days, "", "", ""}
	}
	const longest = 36_500 // days
	units := []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second}
	for i, unit := range units {
		if m[i+1] == "" {
			continue
		}
		n, err := strconv.ParseInt(m[i+1], 10, 64)
		if err != nil || time.Duration(n) > longest*24*time.Hour/unit {
			return 0, false, nil
		}
		period += time.Duration(n) * unit
	}
	return period, true, nil
}
