package cli

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kustos-io/kustos/internal/connection"
)

// Manager calls Resource Manager of a running server as its first principal.
type Manager interface {
	// ARM sends one request, follows a long-running operation to its end, and
	// decodes the last answer into out, if that is not nil.
	ARM(ctx context.Context, method, path, apiVersion string, body, out any) error
	// Send sends one request, does not wait for what it starts, and decodes the
	// answer into out, if that is not nil.
	Send(ctx context.Context, method, path, apiVersion string, body, out any) error
}

const (
	subscriptionVersion  = "2022-12-01"
	aliasVersion         = "2021-10-01"
	managementGroupsType = "/providers/Microsoft.Management/managementGroups/"
)

// manage connects a command to the server of its data folder.
func manage(deps Deps, cmd *cobra.Command) (Manager, connection.File, error) {
	_, c, err := running(cmd)
	if err != nil {
		return nil, connection.File{}, err
	}
	m, err := deps.Manager(c)
	return m, c, err
}

func newSubscription(deps Deps) *cobra.Command {
	cmd := &cobra.Command{Use: "subscription", Short: "Make, list, rename, cancel and enable subscriptions of the running server"}
	cmd.PersistentFlags().String("tenant", "", "id, domain or name of the tenant (default: the first one)")
	cmd.AddCommand(newSubscriptionCreate(deps), newSubscriptionList(deps), newSubscriptionRename(deps),
		newSubscriptionState(deps, "cancel", "Cancel a subscription: what is in it can be read and deleted, not written"),
		newSubscriptionState(deps, "enable", "Enable a canceled subscription again"))
	return cmd
}

func newSubscriptionCreate(deps Deps) *cobra.Command {
	var alias, group, workload string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a subscription that the tenant's first principal owns, and print its id", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, _, err := manage(deps, cmd)
			if err != nil {
				return err
			}
			if alias == "" {
				alias = aliasOf(args[0])
			}
			properties := map[string]any{"displayName": args[0], "workload": workload}
			if group != "" {
				properties["additionalProperties"] = map[string]string{"managementGroupId": managementGroupsType + group}
			}
			path := "/providers/Microsoft.Subscription/aliases/" + alias
			if err := m.ARM(cmd.Context(), http.MethodGet, path, aliasVersion, nil, nil); err == nil {
				return fmt.Errorf("the alias %q stands for a subscription already; choose another with --alias", alias)
			}
			var made struct {
				Properties struct {
					SubscriptionID string `json:"subscriptionId"`
				} `json:"properties"`
			}
			if err := m.ARM(cmd.Context(), http.MethodPut, path, aliasVersion, map[string]any{"properties": properties}, &made); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), made.Properties.SubscriptionID)
			return err
		},
	}
	cmd.Flags().StringVar(&alias, "alias", "", "name of the alias (default: made of NAME)")
	cmd.Flags().StringVar(&group, "management-group", "", "management group to put it in (default: the root group)")
	cmd.Flags().StringVar(&workload, "workload", "Production", "Production or DevTest")
	return cmd
}

// aliasOf makes an alias of a display name: what an alias cannot have becomes '-'.
func aliasOf(name string) string {
	alias := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '-'
	}, name)
	return alias[:min(len(alias), 63)]
}

func newSubscriptionList(deps Deps) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the subscriptions", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, _, err := manage(deps, cmd)
			if err != nil {
				return err
			}
			var list struct {
				Value []struct {
					ID    string `json:"subscriptionId"`
					Name  string `json:"displayName"`
					State string `json:"state"`
				} `json:"value"`
			}
			if err := m.ARM(cmd.Context(), http.MethodGet, "/subscriptions", subscriptionVersion, nil, &list); err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, s := range list.Value {
				fmt.Fprintf(w, "%s\t%s\t%s\n", s.ID, s.State, s.Name)
			}
			return w.Flush()
		},
	}
}

func newSubscriptionRename(deps Deps) *cobra.Command {
	return &cobra.Command{
		Use: "rename ID NAME", Short: "Give a subscription another display name", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, _, err := manage(deps, cmd)
			if err != nil {
				return err
			}
			return m.ARM(cmd.Context(), http.MethodPost, "/subscriptions/"+args[0]+"/providers/Microsoft.Subscription/rename", aliasVersion, map[string]string{"subscriptionName": args[1]}, nil)
		},
	}
}

func newSubscriptionState(deps Deps, verb, short string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " ID", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, _, err := manage(deps, cmd)
			if err != nil {
				return err
			}
			return m.ARM(cmd.Context(), http.MethodPost, "/subscriptions/"+args[0]+"/providers/Microsoft.Subscription/"+verb, aliasVersion, nil, nil)
		},
	}
}
