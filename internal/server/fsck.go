package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/backup"
	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/config"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/fsck"
	"github.com/kustos-io/kustos/internal/fsck/report"
)

// Fsck verifies a stopped folder. withoutSeal checks only what needs no key.
func Fsck(ctx context.Context, cfg config.Config, withoutSeal bool) (report.Report, error) {
	lock, err := lockDir(ctx, cfg.DataDir)
	if err != nil {
		return report.Report{}, err
	}
	found, err := fsck.Structure(ctx, cfg.DataDir)
	if err := lock.Close(); err != nil {
		return found, err
	}
	if err != nil || withoutSeal {
		return found, err
	}
	err = stopped(ctx, cfg, func(in *instance) error {
		platform, err := envelope.NewPlatform(ctx, in.store)
		if err != nil {
			return err
		}
		contents, err := fsck.Contents(ctx, fsck.Config{Dir: in.dir, Barrier: in.barrier, Store: in.store, Wrappers: envelope.Wrappers{Platform: platform}})
		found.Add(contents)
		if err != nil {
			return err
		}
		head, err := audit.ReadHead(ctx, in.store)
		if err != nil {
			return err
		}
		events, err := audit.Verify(audit.Dir(in.dir), in.barrier.InstanceID(), in.barrier, head)
		for _, p := range events.Problems {
			found.Problems = append(found.Problems, report.Problem{Path: "audit", What: p.String()})
		}
		return err
	})
	if err != nil && ctx.Err() == nil {
		// Damage may be why it does not open; the rest of the report is worth having.
		path := "."
		if errors.Is(err, barrier.ErrWrongSeal) { // it has the wrapped root key; whether that or the seal changed nobody can tell
			path = barrier.KeyringName
		}
		found.Problems = append(found.Problems, report.Problem{Path: path, What: err.Error()})
		err = nil
	}
	return found, err
}

// Backup copies the data folder, of a running server or a stopped one, to a
// new folder.
func Backup(ctx context.Context, dir, to string, out io.Writer) error {
	m, err := backup.Create(ctx, dir, to, time.Now())
	if err != nil {
		return err
	}
	return summary(out, "backed up", m, to)
}

// Restore puts a backup into an empty folder.
func Restore(ctx context.Context, from, dir string, out io.Writer) error {
	m, err := backup.Restore(ctx, from, dir)
	if err != nil {
		return err
	}
	return summary(out, "restored", m, dir)
}

func summary(out io.Writer, deed string, m backup.Manifest, to string) error {
	var bytes int64
	for _, f := range m.Files {
		bytes += f.Bytes
	}
	_, err := fmt.Fprintf(out, "%s instance %s as of %s to %s: %d files, %d bytes, all sealed\nIt opens with the seal of the instance, and clusters under a customer's key with that key.\n",
		deed, m.Instance, m.Taken.Format(time.RFC3339), to, len(m.Files), bytes)
	return err
}
