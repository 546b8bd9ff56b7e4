package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Version says what this binary is.
type Version struct {
	Product string `json:"product"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
	DuckDB  string `json:"duckdb"`
	Format  int    `json:"dataFormat"`
}

// BuildVersion fills Commit and Go from the build; product, duckdb and format
// are the caller's.
func BuildVersion(product, duckdb string, format int) Version {
	v := Version{Product: product, Commit: "unknown", Go: runtime.Version(), DuckDB: duckdb, Format: format}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Commit = s.Value
			}
		}
	}
	return v
}

func newVersion(deps Deps) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := deps.Version
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "kustos %s (commit %s, %s, DuckDB %s, data format %d)\n", v.Product, v.Commit, v.Go, v.DuckDB, v.Format)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
