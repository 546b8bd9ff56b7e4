package cluster

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/envelope"
)

// Whatever happens under a re-encryption, in whatever order: the rows are those
// that were acknowledged, and when it is done everything is under one version.
func TestReencryptionThroughAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		ctx := context.Background()
		w := newWorld(t)
		defer func() { w.r.Close() }()
		w.must(w.r.ChangeKEK(ctx, testCluster, envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://v.vault.azure.net", KeyName: "k"}))
		var rows []string
		next := int64(0)
		steered := func(_ Reencryption, err error) {
			if err != nil && !errors.Is(err, ErrReencryptionState) && !errors.Is(err, ErrReencrypting) && !errors.Is(err, catalog.ErrNotFound) {
				rt.Fatal(err)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"ingest": func(rt *rapid.T) {
				next++
				if err := w.ingest("T", next); err == nil {
					rows = append(rows, strconv.FormatInt(next, 10))
				} else if !errors.Is(err, ErrEngine) {
					rt.Fatal(err)
				}
			},
			"seal": func(*rapid.T) {
				n, err := w.r.node(ctx, testCluster)
				w.must(err)
				s, err := n.running()
				w.must(err)
				live, err := s.table("db", "T")
				w.must(err)
				_ = live.seal(ctx) // may meet a dead child
			},
			"maintain": func(*rapid.T) { _ = w.r.Maintain(ctx, testCluster) }, // may meet a dead child
			"kill": func(*rapid.T) {
				for _, c := range w.engine.alive() {
					c.Close()
				}
			},
			"crash":   func(*rapid.T) { w.r.crash(); w.reopen() },
			"restart": func(*rapid.T) { w.must(w.r.Close()); w.reopen() },
			"stop and start": func(*rapid.T) {
				w.must(w.r.Stop(ctx, testCluster))
				w.must(w.r.Start(ctx, testCluster))
			},
			"revoke and restore": func(*rapid.T) {
				w.vault.set(errRevoked)
				w.r.ProbeNow(testCluster)
				w.await(Suspended)
				w.vault.set(nil)
				w.r.ProbeNow(testCluster)
				w.await(Running)
			},
			"re-encrypt": func(*rapid.T) { steered(w.r.Reencrypt(ctx, testCluster, ReencryptionRequest{})) },
			"pause":      func(*rapid.T) { steered(w.r.PauseReencryption(ctx, testCluster, audit.Actor{})) },
			"resume":     func(*rapid.T) { steered(w.r.ResumeReencryption(ctx, testCluster, audit.Actor{})) },
			"cancel":     func(*rapid.T) { steered(w.r.CancelReencryption(ctx, testCluster, audit.Actor{})) },
			"": func(*rapid.T) {
				slices.Sort(rows)
				for {
					got, err := w.rows("T")
					if errors.Is(err, ErrEngine) {
						continue // the child is being replaced
					}
					w.must(err)
					if diff := gocmp.Diff(rows, got); diff != "" {
						rt.Fatalf("rows (-acknowledged +answered):\n%s", diff)
					}
					break
				}
			},
		})
		if job, err := w.r.Reencryption(ctx, testCluster); err == nil && job.State == ReencryptionPaused {
			steered(w.r.ResumeReencryption(ctx, testCluster, audit.Actor{}))
		}
		job, err := w.r.Reencryption(ctx, testCluster)
		if err != nil {
			return
		}
		job, err = w.r.AwaitReencryption(ctx, testCluster, job.ID, func(Reencryption) error { return nil })
		w.must(err)
		if job.State == ReencryptionDone {
			w.wantVersions("db", job.Databases[0].KeyVersion)
		}
		w.r.crash()
		w.reopen()
		slices.Sort(rows)
		w.eventually("T", rows...)
	})
}
