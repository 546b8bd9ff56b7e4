// Command kustos is the one binary: the server, its engine child, and the
// commands that speak to a running server.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/kustos-io/kustos/internal/cli"
	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/internal/connection"
	"github.com/kustos-io/kustos/internal/drill"
	"github.com/kustos-io/kustos/internal/engine/duckdb"
	"github.com/kustos-io/kustos/internal/inspect"
	"github.com/kustos-io/kustos/internal/server"
	"github.com/kustos-io/kustos/internal/tour"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := cli.Root(cli.Deps{
		Up: server.Start, Engine: duckdb.Main, Inspect: inspect.Print, InspectVerify: server.InspectVerify, Tour: tour.Run, Drill: drill.Run,
		AuditTail: server.AuditTail, AuditVerify: server.AuditVerify,
		Fsck: server.Fsck, GiveUp: server.GiveUp, Backup: server.Backup, Restore: server.Restore,
		Manager: func(c connection.File) (cli.Manager, error) { return client.New(c) },
		Version: cli.BuildVersion(server.Product, duckdb.Version, server.DataFormat),
	}).ExecuteContext(ctx)
	stop()
	var exit *cli.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.Code)
	case err != nil:
		fmt.Fprintln(os.Stderr, "kustos:", err)
		os.Exit(1)
	}
}
