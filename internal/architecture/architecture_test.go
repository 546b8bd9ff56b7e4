package architecture_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/kustos-io/kustos/"

// maxChain bounds the longest chain of internal imports: a reader can follow
// that many, not many more.
const maxChain = 11

type pkg struct {
	ImportPath string
	Standard   bool
	Imports    []string
	CgoFiles   []string
	GoFiles    []string
	Doc        string
}

func load(t *testing.T) map[string]pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Standard,Imports,CgoFiles,GoFiles,Doc", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := map[string]pkg{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
}

func short(path string) string { return strings.TrimPrefix(path, module) }

// under reports whether path is dir or below it, both relative to the module.
func under(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+"/")
}

// Leaves import the standard library and each other only.
func TestLeaves(t *testing.T) {
	t.Parallel()
	leaves := []string{"internal/ids", "internal/azerr", "internal/wire", "internal/config", "internal/clock", "internal/faults"}
	for path, p := range load(t) {
		if !slices.Contains(leaves, short(path)) {
			continue
		}
		for _, imp := range p.Imports {
			if strings.Contains(imp, ".") && !slices.Contains(leaves, short(imp)) {
				t.Errorf("leaf %s imports %s", short(path), imp)
			}
		}
	}
}

// Pure packages do no I/O: strangers should be able to read them in an evening.
func TestPurePackages(t *testing.T) {
	t.Parallel()
	pure := []string{"internal/ids", "internal/arm/template", "internal/kql", "internal/kusto/ingest"}
	for path, p := range load(t) {
		for _, dir := range pure {
			if !under(short(path), dir) || strings.Contains(path, "test") {
				continue
			}
			for _, imp := range p.Imports {
				if slices.Contains([]string{"os", "net", "net/http", "database/sql", "os/exec", "log/slog"}, imp) {
					t.Errorf("pure package %s imports %s", short(path), imp)
				}
			}
		}
	}
}

// forbidden lists arrows from (a folder and below) to (a folder and below).
// The first entries are the product's promise: the Kusto side has no way to a
// vault but the public API.
func forbidden() [][2]string {
	return [][2]string{
		{"internal/kusto", "internal/vault"}, {"internal/cluster", "internal/vault"}, {"internal/envelope", "internal/vault"},
		{"internal/engine", "internal/vault"}, {"internal/rp/kusto", "internal/vault"}, {"internal/rp/kusto", "internal/rp/keyvault"},
		{"internal/vault", "internal/kusto"}, {"internal/vault", "internal/cluster"}, {"internal/vault", "internal/envelope"},
		{"internal/rp/keyvault", "internal/rp/kusto"},
		{"internal/engine/duckdb", "internal/envelope"}, {"internal/engine/duckdb", "internal/directory"},
		{"internal/engine/duckdb", "internal/barrier"}, {"internal/engine/duckdb", "internal/store"},
		{"internal/cli", "internal/server"}, {"internal/cli", "internal/arm"}, {"internal/cli", "internal/vault"},
		{"internal/cli", "internal/kusto"}, {"internal/cli", "internal/cluster"}, {"internal/cli", "internal/directory"},
		{"internal/client", "internal/server"}, {"internal/client", "internal/vault"}, {"internal/client", "internal/cluster"},
		{"internal/tour", "internal/server"}, {"internal/tour", "internal/vault"}, {"internal/tour", "internal/cluster"},
		{"internal/tour", "internal/kusto"}, {"internal/tour", "internal/envelope"},
		{"internal/drill", "internal/server"}, {"internal/drill", "internal/vault"}, {"internal/drill", "internal/cluster"},
		{"internal/drill", "internal/kusto"}, {"internal/drill", "internal/envelope"},
		{"internal/directory", "internal/arm"}, {"internal/store", "internal/barrier"},
	}
}

func TestForbiddenArrows(t *testing.T) {
	t.Parallel()
	all := load(t)
	for path := range all {
		for _, arrow := range forbidden() {
			if !under(short(path), arrow[0]) {
				continue
			}
			for dep := range closure(all, path) {
				if under(short(dep), arrow[1]) {
					t.Errorf("%s reaches %s", short(path), short(dep))
				}
			}
		}
	}
}

// Only the binary's main composes the server, and a provider never imports another.
func TestTopOfTheHouse(t *testing.T) {
	t.Parallel()
	for path, p := range load(t) {
		for _, imp := range p.Imports {
			from, to := short(path), short(imp)
			if to == "internal/server" && !under(from, "cmd") {
				t.Errorf("%s imports the server", from)
			}
			if under(from, "internal/rp") && under(to, "internal/rp") && folder(from) != folder(to) {
				t.Errorf("provider %s imports provider %s", from, to)
			}
		}
	}
}

// folder is the second level below internal/rp.
func folder(path string) string { return strings.Split(path, "/")[2] }

func TestCgoIsConfined(t *testing.T) {
	t.Parallel()
	for path, p := range load(t) {
		if len(p.CgoFiles) > 0 && !under(short(path), "internal/engine/duckdb") {
			t.Errorf("%s uses cgo", short(path))
		}
		for _, imp := range p.Imports {
			if strings.HasPrefix(imp, "github.com/duckdb/") && !under(short(path), "internal/engine/duckdb") {
				t.Errorf("%s imports %s", short(path), imp)
			}
		}
	}
}

func TestEveryPackageHasADoc(t *testing.T) {
	t.Parallel()
	for path, p := range load(t) {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", short(path))
		}
	}
}

func TestChainIsShort(t *testing.T) {
	t.Parallel()
	all := load(t)
	depth := map[string]int{}
	var longest func(string) int
	longest = func(path string) int {
		if d, ok := depth[path]; ok {
			return d
		}
		most := 0
		for _, imp := range all[path].Imports {
			if strings.HasPrefix(imp, module) {
				most = max(most, longest(imp))
			}
		}
		depth[path] = most + 1
		return most + 1
	}
	for path := range all {
		if d := longest(path); d > maxChain {
			t.Errorf("%s stands on a chain of %d packages, more than %d", short(path), d, maxChain)
		}
	}
}

// closure is every package of the module that path reaches.
func closure(all map[string]pkg, path string) map[string]bool {
	seen := map[string]bool{}
	var walk func(string)
	walk = func(p string) {
		for _, imp := range all[p].Imports {
			if strings.HasPrefix(imp, module) && !seen[imp] {
				seen[imp] = true
				walk(imp)
			}
		}
	}
	walk(path)
	return seen
}
