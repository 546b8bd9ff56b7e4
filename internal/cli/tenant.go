package cli

import (
	"fmt"
	"net/http"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kustos-io/kustos/internal/operator"
)

func newTenant(deps Deps) *cobra.Command {
	cmd := &cobra.Command{Use: "tenant", Short: "Make, list and show the tenants of the running server"}
	cmd.AddCommand(newTenantCreate(), newTenantList(), newTenantShow(deps))
	return cmd
}

func newTenantCreate() *cobra.Command {
	var domain string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a tenant with a first subscription and a first principal that owns it, and print its id", Args: cobra.ExactArgs(1),
		Long: "Make a tenant with a first subscription and a first principal that owns it, and print its id:\n\n" +
			"  kustos tenant create Contoso\n  kustos run --tenant Contoso -- sh -c 'az login --service-principal -u \"$AZURE_CLIENT_ID\" -p \"$AZURE_CLIENT_SECRET\" --tenant \"$AZURE_TENANT_ID\"'\n\n" +
			"Nobody of another tenant has any right in it. The principal's secret is in connection.json.",
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := dataDir(cmd)
			if err != nil {
				return err
			}
			c := operator.NewClient(dir)
			defer c.Close()
			t, err := c.CreateTenant(cmd.Context(), args[0], domain)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), t.ID)
			return err
		},
	}
	cmd.Flags().StringVar(&domain, "domain", "", "domain of the tenant's people (default: NAME.onmicrosoft.com)")
	return cmd
}

func newTenantList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the tenants: id, domain, name", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, c, err := running(cmd)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, t := range c.All() {
				fmt.Fprintf(w, "%s\t%s\t%s\n", t.TenantID, t.TenantDomain, t.TenantName)
			}
			return w.Flush()
		},
	}
}

func newTenantShow(deps Deps) *cobra.Command {
	return &cobra.Command{
		Use: "show [NAME|DOMAIN|ID]", Short: "Print a tenant's id, domain, name, first subscription and root management group", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, c, err := running(cmd)
			if err != nil {
				return err
			}
			if len(args) > 0 {
				if c, err = c.Of(args[0]); err != nil {
					return err
				}
			}
			m, err := deps.Manager(c)
			if err != nil {
				return err
			}
			var root struct {
				Properties struct {
					DisplayName string `json:"displayName"`
				} `json:"properties"`
			}
			if err := m.ARM(cmd.Context(), http.MethodGet, managementGroupsType+c.TenantID, "2021-04-01", nil, &root); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "id                  %s\ndomain              %s\nname                %s\nfirst subscription  %s\nroot group          %s\n",
				c.TenantID, c.TenantDomain, c.TenantName, c.SubscriptionID, root.Properties.DisplayName)
			return err
		},
	}
}
