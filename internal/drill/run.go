package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/cli"
)

// plan is one drill.
type plan struct {
	name, title string
	run         func(context.Context, *scene) error
}

func plans() []plan {
	return []plan{
		{"rotation", "Rotation: the key changes, nobody notices", rotation},
		{"revocation", "Revocation: the key is taken away, by each cause", revocation},
		{"identity", "Revocation: the identity is removed", identity},
		{"restoration", "Restoration: the key comes back", restoration},
		{"vault-loss", "Vault loss: nobody refused, nobody answers", vaultLoss},
		{"shredding", "Shredding: the key is destroyed for good", shredding},
	}
}

// Names are the drills in the order of "all".
func Names() []string {
	var out []string
	for _, p := range plans() {
		out = append(out, p.name)
	}
	return out
}

// atOnce is how many drills run at a time: they mostly wait.
const atOnce = 2

// Run runs the drill that opts names, or all of them, each on a server of its
// own, and prints as it goes. It fails when a drill failed; the report is
// written all the same.
func Run(ctx context.Context, opts cli.DrillOptions) error {
	var chosen []plan
	for _, p := range plans() {
		if opts.Name == p.name || opts.Name == "all" {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("there is no drill %q; there are %s, and all", opts.Name, strings.Join(Names(), ", "))
	}
	for _, file := range []string{opts.JSON, opts.HTML} {
		if err := writable(file); err != nil {
			return err
		}
	}
	report := &Report{Product: opts.Product, Started: time.Now().UTC(), Interval: Millis(opts.ProbeInterval), Hints: !opts.NoVaultHints, Passed: true}
	var failures []error
	results := make([]chan *Result, len(chosen))
	turns := make(chan struct{}, atOnce)
	for i, p := range chosen {
		results[i] = make(chan *Result, 1)
		go func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			results[i] <- one(ctx, opts, p)
		}()
	}
	for _, done := range results {
		r := <-done
		report.Drills = append(report.Drills, r)
		if !r.Passed {
			report.Passed = false
			failures = append(failures, fmt.Errorf("drill %s: %s", r.Name, r.Error))
		}
		if err := printResult(opts.Out, r); err != nil {
			return err
		}
	}
	report.Took = Millis(time.Since(report.Started))
	failures = append(failures, printSummary(opts.Out, report))
	if opts.JSON != "" {
		failures = append(failures, writeJSON(opts.JSON, report))
	}
	if opts.HTML != "" {
		failures = append(failures, writeHTML(opts.HTML, report))
	}
	return errors.Join(failures...)
}

// writable refuses, before anything is rehearsed, a report file that could not
// be written afterwards.
func writable(file string) error {
	if file == "" {
		return nil
	}
	if at, err := os.Stat(file); err == nil && at.IsDir() {
		return fmt.Errorf("the report cannot be written to %s: it is a folder", file)
	}
	if _, err := os.Stat(filepath.Dir(file)); err != nil {
		return fmt.Errorf("the report cannot be written: %w", err)
	}
	return nil
}

// one runs a drill on a server of its own, whose folder goes when it passed.
func one(ctx context.Context, opts cli.DrillOptions, p plan) *Result {
	r := &Result{Name: p.name, Title: p.title}
	root, err := os.MkdirTemp("", "kustos-drill-")
	if err != nil {
		r.Error = err.Error()
		return r
	}
	s, err := newScene(ctx, opts, root, r)
	if err == nil {
		err = p.run(ctx, s)
	}
	err = errors.Join(err, s.close())
	if err != nil {
		r.Error = fmt.Sprintf("%v (the server's log is %s)", err, filepath.Join(root, "server.log"))
		return r
	}
	r.Passed = true
	if err := os.RemoveAll(root); err != nil {
		r.Passed, r.Error = false, err.Error()
	}
	return r
}
