package shared_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/test/harness"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

// folder is ../shared beside the repository.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../../shared")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "tools")); err != nil {
		t.Skip("the folder ../shared is not beside this checkout: its black-box programs are not run")
	}
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is missing: the black-box programs of ../shared are not run")
	}
	return dir
}

func TestPrograms(t *testing.T) {
	dir := folder(t)
	binary := harness.Binary(t)
	for name, args := range map[string][]string{
		"story":    {"tools/story.py"},
		"keyvault": {"tools/keyvault_check.py"},
		// pub-comparison-004 wants equals('demo','Demo') to be true. It joins two published things that do not belong
		// together: the sample's later values and the table of outputs of the article, whose template compares 'a' with 'a'.
		// Case counts: the language has another operator for comparing without it, which compiles to equals of two toLower.
		"functions": {"tools/arm_corpus.py", "functions", "corpus/arm-functions.json", "--min", "332", "--max-wrong", "1"},
		// mg-policy needs Azure Policy, which is refused by name: nothing here would enforce it.
		"templates": {"tools/arm_corpus.py", "templates", "corpus/templates", "--min", "25", "--max-wrong", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name == "story" {
				t.Skip("the story waits for revocations for minutes: not in short mode")
			}
			full := append([]string{}, args...)
			for i, a := range full {
				if strings.Contains(a, "/") {
					full[i] = filepath.Join(dir, a)
				}
			}
			// The sections revoke and more wait out the default probe interval.
			cmd := exec.Command("python3", append(full, "--server-binary", binary)...)
			cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir())
			out, err := cmd.CombinedOutput()
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			t.Log(lines[len(lines)-1])
			if err != nil {
				t.Errorf("%s: %v\n%s", name, err, failures(lines))
			}
		})
	}
}

// failures keeps the lines that do not say pass.
func failures(lines []string) string {
	var out []string
	for _, l := range lines {
		if !strings.Contains(l, " pass ") {
			out = append(out, l)
		}
	}
	return strings.Join(out[max(0, len(out)-40):], "\n")
}
