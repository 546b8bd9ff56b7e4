package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const (
	maxBody = 64 << 10
	maxTail = 10000
	// timeout bounds a call; a seal may be far away, clusters take time to stop.
	timeout = 3 * time.Minute
)

// Listen opens the socket in dir, whose lock the caller holds: a socket that is
// there is of a server that is gone.
func Listen(dir string) (net.Listener, error) {
	path, done, err := short(dir)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := os.Remove(filepath.Join(dir, SocketName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove old admin socket: %w", err)
	}
	// made in a folder that only its owner can enter, then narrowed
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("open admin socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // by another name than ours
	if err := os.Chmod(filepath.Join(dir, SocketName), 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("narrow admin socket: %w", err)
	}
	return l, nil
}

// short names the socket through a descriptor of its folder: the address of a
// socket may not be longer than 107 bytes, a folder's path may.
func short(dir string) (path string, done func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), SocketName), func() { _ = d.Close() }, nil
}

// Serve answers on l until ctx ends.
func Serve(ctx context.Context, l net.Listener, b Backend, log *slog.Logger) error {
	srv := &http.Server{Handler: handler(b, log), ReadTimeout: timeout, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) }}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve admin socket: %w", err)
	}
	return nil
}

type failure struct {
	Error string `json:"error"`
}

func handler(b Backend, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	on := func(pattern string, do func(ctx context.Context, in request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), timeout)
			defer cancel()
			var in request
			err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in)
			defer clear(in.Secret)
			var out any
			if err == nil {
				out, err = do(ctx, in)
			}
			w.Header().Set("Content-Type", "application/json")
			if err != nil {
				log.WarnContext(ctx, "operator call refused", "operation", pattern, "error", err)
				w.WriteHeader(statusOf(err))
				out = failure{err.Error()}
			}
			_ = json.NewEncoder(w).Encode(out) // the operator went away; there is nobody to tell
		})
	}
	on("POST /status", func(ctx context.Context, _ request) (any, error) { return b.Status(ctx) })
	on("POST /seal", func(ctx context.Context, _ request) (any, error) { return nothing{}, b.Seal(ctx) })
	on("POST /unseal", func(ctx context.Context, in request) (any, error) { return nothing{}, b.Unseal(ctx, in.Secret) })
	on("POST /rekey", func(ctx context.Context, in request) (any, error) { return nothing{}, b.Rekey(ctx, in.Seal, in.Secret) })
	on("POST /rotate", func(ctx context.Context, _ request) (any, error) {
		id, err := b.Rotate(ctx)
		return rotated{id}, err
	})
	on("POST /identity", func(ctx context.Context, in request) (any, error) { return b.Identity(ctx, in.Name) })
	on("POST /tenant", func(ctx context.Context, in request) (any, error) { return b.CreateTenant(ctx, in.Name, in.Domain) })
	on("POST /user", func(ctx context.Context, in request) (any, error) {
		return b.CreateUser(ctx, NewUser{Tenant: in.Tenant, Name: in.Name, DisplayName: in.DisplayName, Owner: in.Owner, Password: in.Secret})
	})
	on("POST /signing-key", func(ctx context.Context, in request) (any, error) {
		id, err := b.RotateSigningKey(ctx, in.Tenant)
		return signingKey{id}, err
	})
	on("POST /audit/tail", func(ctx context.Context, in request) (any, error) {
		return b.AuditTail(ctx, in.Filter, min(max(in.Lines, 1), maxTail))
	})
	on("POST /audit/verify", func(ctx context.Context, _ request) (any, error) { return b.AuditVerify(ctx) })
	on("POST /fsck", func(ctx context.Context, in request) (any, error) { return b.Fsck(ctx, in.After) })
	return mux
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrSealed), errors.Is(err, ErrNotSealed):
		return http.StatusConflict
	}
	return http.StatusUnprocessableEntity
}
