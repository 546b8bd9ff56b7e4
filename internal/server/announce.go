package server

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// announce writes connection.json and the two lines a person needs next.
func (p *parts) announce(out io.Writer) error {
	p.ready.Store(true)
	if err := p.writeConnection(); err != nil {
		return err
	}
	p.log.Info("ready", "proxy", p.server.ProxyAddr(), "direct", p.server.DirectAddr(), "data", p.in.dir)
	binary, err := os.Executable()
	if err != nil {
		binary = "kustos"
	}
	_, err = fmt.Fprintf(out, "Kustos is ready: proxy http://%s, CA %s\nNext: %s run --data %s -- sh -c 'az login --service-principal -u \"$AZURE_CLIENT_ID\" -p \"$AZURE_CLIENT_SECRET\" --tenant \"$AZURE_TENANT_ID\"'\n",
		p.server.ProxyAddr(), filepath.Join(p.in.dir, caName), binary, p.in.dir)
	return err
}

// writeConnection writes connection.json; before the server is ready it writes
// nothing, because the file's appearance is the sign of readiness.
func (p *parts) writeConnection() error {
	if !p.ready.Load() {
		return nil
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	c := connectionOf(p.in, p.server, p.tenants.all(), os.Getpid())
	c.Control, c.ControlToken = p.control.url(), p.control.bearer()
	c.Clusters = p.server.Clusters()
	return c.Write(p.in.dir)
}

func hostOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return u.Host
}

// disableCoreDumps keeps keys and rows out of core files, and other processes
// of the same user out of this one's memory.
func disableCoreDumps(log *slog.Logger) {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		log.Warn("core dumps cannot be switched off", "error", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		log.Warn("process cannot be made undumpable", "error", err)
	}
}
