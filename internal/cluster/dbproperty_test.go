package cluster

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/envelope"
)

// Whatever becomes of a database's own key: an acknowledged row of it is either
// read or refused for the true reason, and the other database does not notice.
func TestAcknowledgedRowsOfADatabaseWithItsOwnKey(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		ctx := context.Background()
		w, vault := newOwnWorld(t)
		defer func() { w.r.Close() }()
		rows := map[string][]string{"own": {"1", "2"}, "db": nil}
		next := int64(2)
		away, owns := false, true
		database := func() string { return rapid.SampledFrom([]string{"own", "db"}).Draw(rt, "database") }
		ids := map[string]string{"db": w.table("T").ID}
		meta, err := w.r.Table(ctx, testCluster, "own", "T")
		w.must(err)
		ids["own"] = meta.ID
		refused := func(name string, err error) bool {
			var suspended *SuspendedError
			return name == "own" && away && errors.As(err, &suspended) && suspended.Database == "own"
		}
		ingest := func(name string, v int64) error {
			if name == "own" {
				return w.ingestOwn(v)
			}
			return w.ingest("T", v)
		}
		acknowledge := func(name string, err error, v int64) {
			if err == nil && !(name == "own" && away) {
				rows[name] = append(rows[name], strconv.FormatInt(v, 10))
			} else if !errors.Is(err, ErrEngine) && !refused(name, err) {
				rt.Fatalf("ingestion into %s: %v", name, err)
			}
		}
		reopen := func() { w.reopen(); w.awaitOwn(away) }
		rt.Repeat(map[string]func(*rapid.T){
			"ingest": func(*rapid.T) {
				next++
				name := database()
				acknowledge(name, ingest(name, next), next)
			},
			"seal": func(*rapid.T) {
				if !away {
					n, err := w.r.node(ctx, testCluster)
					w.must(err)
					s, err := n.running()
					w.must(err)
					live, err := s.table("own", "T")
					w.must(err)
					_ = live.seal(ctx) // may meet a dead child
				}
			},
			"kill": func(*rapid.T) {
				for _, c := range w.engine.alive() {
					c.Close()
				}
			},
			"crash":   func(*rapid.T) { w.r.crash(); reopen() },
			"restart": func(*rapid.T) { w.must(w.r.Close()); reopen() },
			"revoke or restore": func(*rapid.T) {
				if !owns {
					return
				}
				away = !away
				vault.set(nil)
				if away {
					vault.set(errRevoked)
				}
				w.r.ProbeNow(testCluster)
				w.awaitOwn(away)
			},
			"revoke under ingestion": func(*rapid.T) {
				if !owns || away {
					return
				}
				var work sync.WaitGroup
				errs := make([]error, 4)
				for i := range errs {
					work.Go(func() { errs[i] = w.ingestOwn(next + 1 + int64(i)) })
				}
				vault.set(errRevoked)
				w.r.ProbeNow(testCluster)
				work.Wait()
				w.awaitOwn(true)
				for i, err := range errs {
					var suspended *SuspendedError
					if err == nil {
						rows["own"] = append(rows["own"], strconv.FormatInt(next+1+int64(i), 10))
					} else if !errors.As(err, &suspended) && !errors.Is(err, ErrEngine) {
						rt.Fatalf("ingestion while the key goes: %v", err)
					}
				}
				next += int64(len(errs))
				away = true
			},
			"switch": func(*rapid.T) {
				kek := envelope.PlatformKEK()
				if rapid.Bool().Draw(rt, "own") {
					kek = otherKEK(rapid.SampledFrom([]string{"", "1"}).Draw(rt, "version"))
				}
				err := w.r.ChangeDatabaseKEK(ctx, testCluster, "own", kek)
				if (err != nil) != away || away && !errors.Is(err, envelope.ErrRevoked) {
					rt.Fatalf("change of key: %v", err)
				}
				owns = owns && away || err == nil && kek.Kind == envelope.KindCustomer
			},
			"": func(*rapid.T) {
				for name := range rows {
					slices.Sort(rows[name])
					for {
						var got []string
						open, err := w.query(name, ids[name])
						if err == nil {
							got, err = drain(open)
						}
						if errors.Is(err, ErrEngine) {
							continue // the child is being replaced
						}
						if refused(name, err) {
							break
						}
						w.must(err)
						if diff := gocmp.Diff(rows[name], got); diff != "" || name == "own" && away {
							rt.Fatalf("rows of %s, key away %v (-acknowledged +answered):\n%s", name, away, diff)
						}
						break
					}
				}
			},
		})
	})
}
