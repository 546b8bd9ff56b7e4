package server

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/fsck"
	"github.com/kustos-io/kustos/internal/fsck/report"
	"github.com/kustos-io/kustos/internal/operator"
)

// fsckBytes is how much of a cluster's extents one call verifies: a second or two.
const fsckBytes = 1 << 30

// Fsck verifies what is on disk while the server runs: first the state and the
// audit log, then one cluster after another, with the keys that the clusters have
// now. It goes on at "CLUSTER" or behind "CLUSTER/DATABASE/EXTENT".
func (w *warden) Fsck(ctx context.Context, after string) (step operator.FsckStep, err error) {
	p := w.unsealed.Load()
	if p == nil {
		return step, operator.ErrSealed
	}
	clusters := p.runtime.Clusters()
	if after == "" {
		w.record(p, "operator/fsck", "")
		if step.Report, err = w.fsckState(ctx, p); err == nil && len(clusters) > 0 {
			step.Next = clusters[0]
		}
		return step, err
	}
	id, within, _ := strings.Cut(after, "/")
	at, there := slices.BinarySearch(clusters, id)
	if !there { // deleted meanwhile
		if at < len(clusters) {
			step.Next = clusters[at]
		}
		return step, nil
	}
	v, err := p.runtime.Verify(ctx, id, within, fsckBytes)
	if err != nil {
		return step, fmt.Errorf("verify cluster %s: %w", id, err)
	}
	r := report.Report{Extents: v.Extents, VerifiedExtents: v.VerifiedExtents, Segments: v.Segments, VerifiedSegments: v.VerifiedSegments, Notes: v.Notes}
	for _, d := range v.Damage {
		r.Problems = append(r.Problems, report.Problem{Path: d.Path, What: d.What})
	}
	step.Report = r
	switch {
	case v.Next != "":
		step.Next = id + "/" + v.Next
	case at+1 < len(clusters):
		step.Next = clusters[at+1]
	}
	return step, nil
}

func (w *warden) fsckState(ctx context.Context, p *parts) (report.Report, error) {
	found, err := fsck.Values(ctx, w.in.dir, p.barrier)
	if err != nil {
		return found, err
	}
	events, err := w.AuditVerify(ctx)
	for _, problem := range events.Problems {
		found.Problems = append(found.Problems, report.Problem{Path: "audit", What: problem.String()})
	}
	if err != nil && ctx.Err() == nil {
		found.Problems = append(found.Problems, report.Problem{Path: "audit", What: err.Error()})
		err = nil
	}
	return found, err
}
