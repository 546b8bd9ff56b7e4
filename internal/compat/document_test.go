package compat_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/kql"
	"github.com/kustos-io/kustos/internal/rp/authorization"
	"github.com/kustos-io/kustos/internal/rp/keyvault"
	"github.com/kustos-io/kustos/internal/rp/kusto"
	"github.com/kustos-io/kustos/internal/rp/managedidentity"
	"github.com/kustos-io/kustos/internal/rp/management"
	"github.com/kustos-io/kustos/internal/rp/resources"
	"github.com/kustos-io/kustos/internal/rp/subscription"
	"github.com/kustos-io/kustos/internal/vault"
)

var update = flag.Bool("update", false, "rewrite docs/compatibility.md")

const path = "../../docs/compatibility.md"

func TestDocumentIsCurrent(t *testing.T) {
	t.Parallel()
	want := document()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("docs/compatibility.md is stale: run 'go test ./internal/compat -update' and commit it%s", firstDifference(string(have), want))
	}
}

func firstDifference(have, want string) string {
	h, w := strings.Split(have, "\n"), strings.Split(want, "\n")
	for i := range min(len(h), len(w)) {
		if h[i] != w[i] {
			return fmt.Sprintf("\nline %d\n have %s\n want %s", i+1, h[i], w[i])
		}
	}
	return ""
}

func document() string {
	var b strings.Builder
	known := kql.Known()
	b.WriteString(intro)
	section(&b, "Query language: tabular operators", "Supported", known.Operators)
	b.WriteString("`print`, `range`, `datatable` and `union` may begin a query; `let`, `set` and `declare query_parameters` may stand before it.\n\n")
	section(&b, "", "Refused by name (`SEM0002`)", known.Refused)
	section(&b, "Query language: scalar functions", "Supported", known.Functions)
	section(&b, "Query language: aggregates", "Supported", known.Aggregates)
	b.WriteString("Any other function or aggregate is refused: the error names it and gives its line and column.\n\n")

	b.WriteString("## Control commands\n\nEvery `.show` may be piped into a query.\n\n| Command | |\n|---|---|\n")
	for _, p := range commands() {
		fmt.Fprintf(&b, "| `%s` | supported |\n", strings.ReplaceAll(p.syntax, "|", `\|`))
	}
	for _, p := range refusedCommands() {
		fmt.Fprintf(&b, "| %s | refused by name |\n", p.syntax)
	}
	b.WriteString("\nAny other command is refused by name with `SYN0002`.\n\n")
	b.WriteString(dataPlane)
	b.WriteString(directoryPlane)
	b.WriteString(resourceTypes())
	section(&b, "Template functions", "Supported", eval.NewLibrary().Names())
	section(&b, "", "Refused with their reason (`InvalidTemplate`)", eval.NewLibrary().Refused())
	b.WriteString("`list*` is every function whose name begins so. Any other function is refused by name with `InvalidTemplate`.\n\n")
	b.WriteString(deployments)
	b.WriteString(vaultOperations())
	return b.String()
}

func section(b *strings.Builder, title, what string, names []string) {
	if title != "" {
		fmt.Fprintf(b, "## %s\n\n", title)
	}
	fmt.Fprintf(b, "%s (%d): `%s`.\n\n", what, len(names), strings.Join(names, "` `"))
}

func resourceTypes() string {
	var b strings.Builder
	b.WriteString("## Resource Manager\n\n| Resource type | api-versions | Actions |\n|---|---|---|\n")
	// Nothing is asked of the providers but what they serve.
	ops := operations.New(operations.Config{})
	providers := []provider.Provider{
		kusto.New(kusto.Config{Operations: ops}), keyvault.New(keyvault.Config{}), managedidentity.New(managedidentity.Config{}), authorization.New(authorization.Config{}),
		resources.New(resources.Config{Operations: ops}), management.New(management.Config{}), subscription.New(subscription.Config{}),
	}
	slices.SortFunc(providers, func(a, b provider.Provider) int { return strings.Compare(a.Namespace(), b.Namespace()) })
	for _, p := range providers {
		for _, t := range p.Types() {
			versions := ""
			if n := len(t.APIVersions); n > 0 {
				versions = t.APIVersions[n-1] + " … " + t.APIVersions[0]
				if n == 1 {
					versions = t.APIVersions[0]
				}
			}
			fmt.Fprintf(&b, "| `%s/%s` | %s | %s |\n", p.Namespace(), t.Type, versions, strings.Join(t.Actions, ", "))
		}
	}
	b.WriteString("\nAnother type is refused with `InvalidResourceType`, another namespace with `InvalidResourceNamespace`.\n\n")
	b.WriteString(managementPlane)
	return b.String()
}

func vaultOperations() string {
	var b strings.Builder
	b.WriteString("## Key Vault data plane\n\n| Operation | |\n|---|---|\n")
	for _, o := range vault.Operations() {
		what := "supported"
		if o.Refused {
			what = "refused by name"
		}
		fmt.Fprintf(&b, "| `%s %s` | %s |\n", o.Method, o.Path, what)
	}
	b.WriteString("| certificates, managed storage accounts, managed HSM operations | refused by name |\n")
	b.WriteString(vaultPlane)
	return b.String()
}
