package server

import (
	"context"
	"errors"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/config"
)

// stopped is a data folder that no server runs on, opened with its seal.
func stopped(ctx context.Context, cfg config.Config, use func(in *instance) error) error {
	in, err := openInstance(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(use(in), in.close())
}

// AuditTail reads the audit log of a stopped folder.
func AuditTail(ctx context.Context, cfg config.Config, filter audit.Filter, n int) (events []audit.Event, err error) {
	err = stopped(ctx, cfg, func(in *instance) (err error) {
		events, err = audit.Tail(audit.Dir(in.dir), in.barrier, filter, n)
		return err
	})
	return events, err
}

// AuditVerify verifies the audit log of a stopped folder.
func AuditVerify(ctx context.Context, cfg config.Config) (report audit.Report, err error) {
	err = stopped(ctx, cfg, func(in *instance) error {
		head, err := audit.ReadHead(ctx, in.store)
		if err != nil {
			return err
		}
		report, err = audit.Verify(audit.Dir(in.dir), in.barrier.InstanceID(), in.barrier, head)
		return err
	})
	return report, err
}
