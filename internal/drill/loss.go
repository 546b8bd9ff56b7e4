package drill

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/kustos-io/kustos/internal/client"
)

// vaultLoss makes the vault unreachable without anybody having refused.
func vaultLoss(ctx context.Context, s *scene) error {
	if err := s.furnish(ctx); err != nil {
		return err
	}
	calm := time.Now()
	for _, trouble := range []struct{ kind, what string }{
		{"throttled", "the vault answers 429"}, {"serverError", "the vault answers 500"}, {"tlsFailure", "the vault's certificate is not trusted"},
	} {
		_, _, err := s.act(trouble.what, func() error {
			return errors.Join(s.control(ctx, http.MethodDelete, "/faults", nil),
				s.control(ctx, http.MethodPost, "/faults", map[string]any{"kind": trouble.kind, "match": map[string]string{"vault": vault}}))
		})
		if err != nil {
			return err
		}
		if err := pause(ctx, s.interval+500*time.Millisecond); err != nil {
			return err
		}
	}
	n, err := s.watch.during(calm, Answered)
	if err != nil {
		return fmt.Errorf("network trouble was taken for revocation: %w", err)
	}
	s.seen("the data stays readable: trouble is not revocation", fmt.Sprintf("%d questions answered since", n))
	state, reason, err := s.state(ctx)
	if err != nil {
		return err
	}
	s.seen("the cluster is "+state, reason)
	err = s.deny(ctx, "grace period over: clock moved forward by 31 minutes", func() error {
		return s.control(ctx, http.MethodPost, "/clock/advance", map[string]string{"by": "31m"})
	})
	if err != nil {
		return err
	}
	return s.restore(ctx, "the vault answers again", func() error { return s.control(ctx, http.MethodDelete, "/faults", nil) })
}

// shredding destroys the key for good, and with it the data; a copy of the
// folder that was made earlier still opens with the key that is in it.
func shredding(ctx context.Context, s *scene) error {
	if err := s.furnish(ctx); err != nil {
		return err
	}
	earlier := filepath.Join(s.inst.Root, "earlier")
	copied, _, err := s.act("data folder, vault included, copied while the server is down", func() error {
		if err := s.inst.Stop(); err != nil {
			return err
		}
		if err := errors.Join(copyFolder(s.inst.DataDir(), filepath.Join(earlier, "data")), copyFile(s.inst.SealPath(), filepath.Join(earlier, "seal"))); err != nil {
			return err
		}
		az, _, err := s.inst.Start(ctx)
		if err == nil {
			s.az = az
			s.watch.use(az)
		}
		return err
	})
	if err != nil {
		return err
	}
	if _, _, err := s.watch.await(ctx, copied, Answered); err != nil {
		return err
	}
	if err := s.deny(ctx, "key deleted", func() error { _, err := s.key(ctx, http.MethodDelete, "/keys/"+keyName, nil); return err }); err != nil {
		return err
	}
	if err := s.mustRefuse(ctx, "purge at once is refused: the vault protects it for 7 days", http.MethodDelete, "/deletedkeys/"+keyName); err != nil {
		return err
	}
	gone, _, err := s.act("clock moved forward by 8 days: the key is purged", func() error {
		return s.control(ctx, http.MethodPost, "/clock/advance", map[string]string{"by": "8d"})
	})
	if err != nil {
		return err
	}
	if err := s.mustRefuse(ctx, "the deleted key does not exist any more", http.MethodGet, "/deletedkeys/"+keyName); err != nil {
		return err
	}
	if err := s.mustRefuse(ctx, "it cannot be recovered", http.MethodPost, "/deletedkeys/"+keyName+"/recover"); err != nil {
		return err
	}
	if _, _, err := s.act("server restarted", func() error { return s.restart(ctx, false) }); err != nil {
		return err
	}
	if err := pause(ctx, s.bound()); err != nil {
		return err
	}
	if _, _, err := s.watch.await(ctx, gone, Refused); err != nil {
		return err
	}
	if _, _, err := s.act("new key of the same name created", func() error { return s.createKey(ctx) }); err != nil {
		return err
	}
	if err := pause(ctx, s.bound()); err != nil {
		return err
	}
	state, reason, err := s.state(ctx)
	if err != nil {
		return err
	}
	if state == "Running" {
		return errors.New("the cluster runs without its key")
	}
	s.seen("it does not help: the cluster is "+state, reason)
	return s.openCopy(ctx, earlier)
}

// mustRefuse insists on a refusal of a call to the vault.
func (s *scene) mustRefuse(ctx context.Context, what, method, path string) error {
	_, err := s.key(ctx, method, path, nil)
	var refused *client.RefusedError
	if !errors.As(err, &refused) {
		return fmt.Errorf("%s: it was not refused: %w", what, err)
	}
	s.seen(what, fmt.Sprintf("HTTP %d %s", refused.Status, refused.Code))
	return nil
}

// openCopy starts a server on the earlier copy.
func (s *scene) openCopy(ctx context.Context, root string) (err error) {
	inst := client.NewInstance(s.inst.Binary(), root, s.inst.Args...)
	az, _, err := inst.Start(ctx)
	if err != nil {
		return fmt.Errorf("start on the earlier copy: %w", err)
	}
	defer func() { err = errors.Join(err, inst.Stop()) }()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		got, err := s.ask(ctx, az)
		if err == nil && got == s.answer {
			s.seen("the copy made earlier still opens with the key it holds", got)
			return nil
		}
		if err := pause(ctx, askPause); err != nil {
			return fmt.Errorf("the earlier copy does not answer: %w", err)
		}
	}
}

// copyFolder copies the plain files of a folder; sockets are left out.
func copyFolder(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		case entry.Type().IsRegular():
			return copyFile(path, filepath.Join(to, name))
		}
		return nil
	})
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}
