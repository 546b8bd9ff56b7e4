package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/config"
	"github.com/kustos-io/kustos/internal/operator"
)

const followInterval = time.Second

func newAudit(deps Deps) *cobra.Command {
	var seal string
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Read and verify the audit log, of a running server or of a stopped folder",
		Long: "Read and verify the audit log.\n\nA running server is asked over admin.sock in its data folder. A folder on which none runs is opened\n" +
			"with its seal, as 'kustos up' would.",
	}
	cmd.PersistentFlags().StringVar(&seal, "seal", "", "seal of a stopped folder, as for 'kustos up'")
	cmd.AddCommand(newAuditTail(deps, &seal), newAuditVerify(deps, &seal))
	return cmd
}

// stoppedConfig is the configuration to open a stopped folder with; it refuses
// a folder that holds no instance, which opening would make.
func stoppedConfig(dir, seal string) (config.Config, error) {
	if _, err := os.Stat(filepath.Join(dir, "state.db")); errors.Is(err, fs.ErrNotExist) {
		return config.Config{}, fmt.Errorf("%s is not the data folder of a server", dir)
	}
	spec, err := config.ParseSeal(seal)
	return config.Config{DataDir: dir, Seal: spec}, err
}

func newAuditTail(deps Deps, seal *string) *cobra.Command {
	var (
		filter         audit.Filter
		result         string
		lines          int
		asJSON, follow bool
	)
	cmd := &cobra.Command{
		Use: "tail", Args: cobra.NoArgs,
		Short: "Print the newest events, oldest first",
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := dataDir(cmd)
			if err != nil {
				return err
			}
			filter.Result = audit.Result(result)
			if result != "" && filter.Result != audit.Allowed && filter.Result != audit.Refused && filter.Result != audit.Failed {
				return fmt.Errorf("--result %q is none of allowed, refused, failed", result)
			}
			client := operator.NewClient(dir)
			defer client.Close()
			events, err := client.AuditTail(cmd.Context(), filter, lines)
			if errors.Is(err, operator.ErrNoServer) {
				cfg, err := stoppedConfig(dir, *seal)
				if err != nil {
					return err
				}
				if follow {
					return errors.New("--follow needs a running server")
				}
				if events, err = deps.AuditTail(cmd.Context(), cfg, filter, lines); err != nil {
					return err
				}
				return printEvents(cmd.OutOrStdout(), events, asJSON)
			}
			for err == nil {
				if err := printEvents(cmd.OutOrStdout(), events, asJSON); err != nil || !follow {
					return err
				}
				if n := len(events); n > 0 {
					filter.Since = events[n-1].Sequence + 1
				}
				select {
				case <-cmd.Context().Done():
					return nil
				case <-time.After(followInterval):
				}
				events, err = client.AuditTail(cmd.Context(), filter, 10000)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.IntVarP(&lines, "lines", "n", 20, "how many events")
	f.StringVar(&filter.Operation, "operation", "", "only operations that contain this, for example keys/unwrapKey")
	f.StringVar(&filter.Scope, "scope", "", "only scopes that contain this, for example vaults/kv1/keys/k")
	f.StringVar(&filter.Actor, "actor", "", "only actors whose id or address contains this")
	f.StringVar(&result, "result", "", "only allowed, refused or failed")
	f.Uint64Var(&filter.Since, "since", 0, "only from this sequence number on")
	f.BoolVar(&asJSON, "json", false, "print one JSON object a line")
	f.BoolVarP(&follow, "follow", "f", false, "go on printing what comes")
	return cmd
}

func printEvents(out io.Writer, events []audit.Event, asJSON bool) error {
	for _, e := range events {
		if asJSON {
			if err := json.NewEncoder(out).Encode(e); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintln(out, line(e)); err != nil {
			return err
		}
	}
	return nil
}

// line is an event for people.
func line(e audit.Event) string {
	who := []string{}
	for _, s := range []string{e.Actor.ObjectID, e.Actor.FirstParty, e.Actor.Address} {
		if s != "" {
			who = append(who, s)
		}
	}
	out := fmt.Sprintf("%d %s %-7s %s %s by %s", e.Sequence, e.Time.Format(time.RFC3339), e.Result, e.Operation, e.Scope, strings.Join(who, " "))
	for _, m := range [][2]string{{"version", e.Version}, {"alg", e.Algorithm}, {"code", e.Code}, {"rule", e.Rule}, {"detail", e.Detail}} {
		if m[1] != "" {
			out += fmt.Sprintf(" %s=%q", m[0], m[1])
		}
	}
	return out
}

func newAuditVerify(deps Deps, seal *string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "verify", Args: cobra.NoArgs,
		Short: "Verify the whole chain: nothing changed, exchanged, added or taken away",
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := dataDir(cmd)
			if err != nil {
				return err
			}
			client := operator.NewClient(dir)
			defer client.Close()
			report, err := client.AuditVerify(cmd.Context())
			if errors.Is(err, operator.ErrNoServer) {
				var cfg config.Config
				if cfg, err = stoppedConfig(dir, *seal); err == nil {
					report, err = deps.AuditVerify(cmd.Context(), cfg)
				}
			}
			if err != nil {
				return err
			}
			return printReport(cmd.OutOrStdout(), report, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printReport(out io.Writer, r audit.Report, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return err
		}
	} else {
		for _, p := range r.Problems {
			fmt.Fprintln(out, p)
		}
		fmt.Fprintf(out, "%d events in %d frames in %d segments; %d frames ahead of the head\n", r.Events, r.Frames, r.Segments, r.Ahead)
	}
	if !r.Good() {
		return fmt.Errorf("the audit log is not whole: %d problems", len(r.Problems))
	}
	return nil
}
