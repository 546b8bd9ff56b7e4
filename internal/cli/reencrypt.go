package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	kustoVersion  = "2023-08-15"
	reencryptPoll = 250 * time.Millisecond
)

// reencryption is what Resource Manager tells of one.
type reencryption struct {
	State     string  `json:"state"`
	Reason    string  `json:"reason"`
	Database  string  `json:"database"`
	StartTime string  `json:"startTime"`
	EndTime   string  `json:"endTime"`
	Percent   float64 `json:"percentComplete"`
	Extents   int64   `json:"extents"`
	Done      int64   `json:"extentsDone"`
	Damaged   int64   `json:"extentsDamaged"`
	Bytes     int64   `json:"bytes"`
	BytesDone int64   `json:"bytesDone"`
	ID        string  `json:"reencryptionId"`
	Databases []struct {
		Name    string `json:"name"`
		Done    bool   `json:"done"`
		Version int    `json:"keyVersion"`
		Dropped []int  `json:"droppedKeyVersions"`
	} `json:"databases"`
}

func (r reencryption) ended() bool {
	return r.State == "Done" || r.State == "Failed" || r.State == "Canceled"
}

// line says in one line how it stands.
func (r reencryption) line() string {
	s := fmt.Sprintf("%s: %d of %d extents, %d of %d bytes", r.State, r.Done, r.Extents, r.BytesDone, r.Bytes)
	if r.Damaged > 0 {
		s += fmt.Sprintf(", %d damaged", r.Damaged)
	}
	if r.Reason != "" {
		s += "; " + r.Reason
	}
	return s
}

func (r reencryption) print(w io.Writer) error {
	what := "all databases"
	if r.Database != "" {
		what = "database " + r.Database
	}
	b := fmt.Sprintf("%s\n  of %s, since %s", r.line(), what, r.StartTime)
	if r.EndTime != "" {
		b += ", ended " + r.EndTime
	}
	for _, d := range r.Databases {
		switch {
		case d.Version == 0:
			b += fmt.Sprintf("\n  database %s: not begun", d.Name)
		case len(d.Dropped) == 0:
			b += fmt.Sprintf("\n  database %s: under key version %d from now on", d.Name, d.Version)
		default:
			b += fmt.Sprintf("\n  database %s: under key version %d, older ones dropped: %s", d.Name, d.Version, strings.Trim(fmt.Sprint(d.Dropped), "[]"))
		}
	}
	_, err := fmt.Fprintln(w, b)
	return err
}

func newReencrypt(deps Deps) *cobra.Command {
	var cluster, database string
	var wait bool
	cmd := &cobra.Command{
		Use:   "reencrypt --cluster NAME [--database NAME]",
		Short: "Rewrite the data of a cluster under new data keys, in the background",
		Long: "Rewrite every extent of a cluster, or of one of its databases, under new keys, and drop the older version of the database key.\n" +
			"The server does it in the background, also after a restart; queries and ingestion go on. Ctrl-C ends the waiting, not the work.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, path, err := reencryptPath(deps, cmd, cluster)
			if err != nil {
				return err
			}
			var body any
			if database != "" {
				body = map[string]string{"database": database}
			}
			var now reencryption
			if err := m.Send(cmd.Context(), http.MethodPost, path, kustoVersion, body, &now); err != nil {
				return err
			}
			if wait {
				return followReencrypt(cmd.Context(), m, path, now, cmd.OutOrStdout())
			}
			return now.print(cmd.OutOrStdout())
		},
	}
	cmd.PersistentFlags().StringVar(&cluster, "cluster", "", "name of the cluster")
	cmd.Flags().StringVar(&database, "database", "", "only this database (default: all)")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the end and show how far it is")
	status := &cobra.Command{
		Use: "status", Short: "Say how far the re-encryption is, or how the last one ended", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, path, err := reencryptPath(deps, cmd, cluster)
			if err != nil {
				return err
			}
			var now reencryption
			if err := m.Send(cmd.Context(), http.MethodGet, path, kustoVersion, nil, &now); err != nil {
				return err
			}
			if wait {
				return followReencrypt(cmd.Context(), m, path, now, cmd.OutOrStdout())
			}
			return now.print(cmd.OutOrStdout())
		},
	}
	status.Flags().BoolVar(&wait, "wait", false, "wait for the end and show how far it is")
	cmd.AddCommand(status)
	for _, verb := range [][2]string{{"pause", "Pause it until it is resumed"}, {"resume", "Let it go on when it is paused or has failed"}, {"cancel", "End it; what is rewritten stays so"}} {
		cmd.AddCommand(&cobra.Command{
			Use: verb[0], Short: verb[1], Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				m, path, err := reencryptPath(deps, cmd, cluster)
				if err != nil {
					return err
				}
				var now reencryption
				if err := m.Send(cmd.Context(), http.MethodPost, path+"/"+verb[0], kustoVersion, nil, &now); err != nil {
					return err
				}
				return now.print(cmd.OutOrStdout())
			},
		})
	}
	return cmd
}

// reencryptPath finds a cluster by its name, which is unique, in all subscriptions.
func reencryptPath(deps Deps, cmd *cobra.Command, cluster string) (Manager, string, error) {
	if cluster == "" {
		return nil, "", errors.New("name the cluster with --cluster")
	}
	m, _, err := manage(deps, cmd)
	if err != nil {
		return nil, "", err
	}
	type list struct {
		Value []struct {
			ID           string `json:"id"`
			Name         string `json:"name"`
			Subscription string `json:"subscriptionId"`
		} `json:"value"`
	}
	var subscriptions list
	if err := m.Send(cmd.Context(), http.MethodGet, "/subscriptions", subscriptionVersion, nil, &subscriptions); err != nil {
		return nil, "", err
	}
	for _, s := range subscriptions.Value {
		var clusters list
		if err := m.Send(cmd.Context(), http.MethodGet, "/subscriptions/"+s.Subscription+"/providers/Microsoft.Kusto/clusters", kustoVersion, nil, &clusters); err != nil {
			return nil, "", err
		}
		for _, c := range clusters.Value {
			if strings.EqualFold(c.Name, cluster) {
				return m, c.ID + "/kustosReencrypt", nil
			}
		}
	}
	return nil, "", fmt.Errorf("there is no cluster %q", cluster)
}

// followReencrypt prints how it stands whenever that has changed, until the end.
func followReencrypt(ctx context.Context, m Manager, path string, now reencryption, w io.Writer) error {
	tick := time.NewTicker(reencryptPoll)
	defer tick.Stop()
	id, last := now.ID, ""
	for {
		if now.ID != id {
			return errors.New("another re-encryption has begun meanwhile")
		}
		if now.ended() {
			if err := now.print(w); err != nil || now.State == "Done" {
				return err
			}
			return &ExitError{Code: 1}
		}
		if line := now.line(); line != last {
			last = line
			if _, err := fmt.Fprintln(w, line); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		now = reencryption{}
		if err := m.Send(ctx, http.MethodGet, path, kustoVersion, nil, &now); err != nil {
			return err
		}
	}
}
