package vault_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kustos-io/kustos/test/harness"
)

var crashRuns = flag.Int("vault.crashes", 4, "how often to kill the server; docs/benchmarks.md records a run of 200")

// step is one write of a key; workers cycle through them.
type step struct {
	name   string
	method string
	path   string // %s is the key's name
	body   any
}

// Each worker has a key of its own, made, rotated, deleted, recovered and
// deleted again under ever new names, so that a crash can hit any of them.
func steps() []step {
	return []step{
		{"create", "POST", "/keys/%s/create", raw(`{"kty":"EC"}`)},
		{"rotate", "POST", "/keys/%s/rotate", nil},
		{"new version", "POST", "/keys/%s/create", raw(`{"kty":"RSA"}`)},
		{"delete", "DELETE", "/keys/%s", nil},
		{"recover", "POST", "/deletedkeys/%s/recover", nil},
		{"delete again", "DELETE", "/keys/%s", nil},
		{"purge", "DELETE", "/deletedkeys/%s", nil},
	}
}

// worker knows what its key must look like.
type worker struct {
	id, serial int
	at         int  // steps acknowledged on the current key
	unsure     bool // the next step was sent and not answered
}

func (w *worker) key() string { return fmt.Sprintf("w%dk%d", w.id, w.serial) }

// work writes until the server is gone.
func (w *worker) work(k *keys) error {
	for {
		s := steps()[w.at]
		a, err := k.try(s.method, fmt.Sprintf(s.path, w.key()), s.body)
		if err != nil { // the server is gone
			w.unsure = true
			return nil
		}
		if err := a.Refusal(); err != nil {
			return fmt.Errorf("%s of %s: %w", s.name, w.key(), err)
		}
		if w.at++; w.at == len(steps()) {
			w.at, w.serial = 0, w.serial+1
		}
	}
}

// seen is the state of a key: how many versions, live or deleted.
type seen struct {
	versions int
	deleted  bool
}

// after is what n steps make of a key; a deleted key's versions cannot be listed.
func after(n int) seen {
	return []seen{{}, {1, false}, {2, false}, {3, false}, {0, true}, {3, false}, {0, true}}[n]
}

// check compares the key with what was acknowledged: the step that was not
// answered is wholly there or wholly not, and every version works.
func (w *worker) check(k *keys) error {
	have, err := look(k, w.key())
	if err != nil {
		return fmt.Errorf("%s after %d steps: %w", w.key(), w.at, err)
	}
	want := []int{w.at}
	if w.unsure {
		want = append(want, (w.at+1)%len(steps())) // purged is as if it had never been
	}
	w.unsure = false
	for _, n := range want {
		if have == after(n) {
			w.at = n
			if n == 0 { // nothing of it is there: go on with a new name
				w.serial++
			}
			return nil
		}
	}
	return fmt.Errorf("%s is %+v after the steps %v", w.key(), have, want)
}

// look reads a key and uses each of its versions.
func look(k *keys, name string) (seen, error) {
	a, err := k.try(http.MethodGet, "/deletedkeys/"+name, nil)
	if err != nil {
		return seen{}, err
	}
	live, err := k.try(http.MethodGet, "/keys/"+name+"/versions", nil)
	if err != nil {
		return seen{}, err
	}
	if a.Status == http.StatusOK {
		if live.Status == http.StatusOK {
			return seen{}, errors.New("the key is live and deleted")
		}
		return seen{deleted: true}, nil
	}
	if live.Status == http.StatusNotFound {
		return seen{}, nil
	}
	var list struct{ Value []struct{ Kid string } }
	if err := errors.Join(live.Refusal(), json.Unmarshal(live.Body, &list)); err != nil {
		return seen{}, err
	}
	for _, item := range list.Value {
		path := item.Kid[strings.Index(item.Kid, "/keys/"):]
		if err := works(k, path); err != nil {
			return seen{}, fmt.Errorf("%s: %w", path, err)
		}
	}
	return seen{versions: len(list.Value)}, nil
}

// works signs and verifies with a version: public and private part are there
// and belong together.
func works(k *keys, path string) error {
	a, err := k.try(http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	var b struct{ Key struct{ Kty string } }
	if err := errors.Join(a.Refusal(), json.Unmarshal(a.Body, &b)); err != nil {
		return err
	}
	alg := map[string]string{"EC": "ES256", "RSA": "RS256"}[b.Key.Kty]
	digest := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	var out struct{ Value string }
	a, err = k.try(http.MethodPost, path+"/sign", map[string]string{"alg": alg, "value": digest})
	if err == nil {
		err = errors.Join(a.Refusal(), json.Unmarshal(a.Body, &out))
	}
	if err != nil {
		return err
	}
	a, err = k.try(http.MethodPost, path+"/verify", map[string]string{"alg": alg, "digest": digest, "value": out.Value})
	if err != nil {
		return err
	}
	var ok struct{ Value bool }
	if err := errors.Join(a.Refusal(), json.Unmarshal(a.Body, &ok)); err != nil || !ok.Value {
		return fmt.Errorf("its signature does not verify: %w", err)
	}
	return nil
}

// TestKillDuringKeyWrites kills the server in the middle of creating, rotating,
// deleting, recovering and purging keys: each key is wholly there or wholly
// not, and the audit log is whole.
func TestKillDuringKeyWrites(t *testing.T) {
	inst := harness.New(t)
	var k *keys
	workers := make([]*worker, 4)
	for i := range workers {
		workers[i] = &worker{id: i}
	}
	done := 0
	for run := range *crashRuns {
		c := harness.Start(t, inst)
		if k == nil {
			k = newVault(t, c, "kvcrash")
		}
		k.Client = c
		checkAll(t, k, workers)
		var wg sync.WaitGroup
		for _, w := range workers {
			wg.Go(func() {
				if err := w.work(k); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(time.Duration(20+rand.IntN(180)) * time.Millisecond) //nolint:forbidigo // the crash comes at any moment
		if err := inst.Kill(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if t.Failed() {
			t.Fatalf("in run %d", run)
		}
		done++
	}
	k.Client = harness.Start(t, inst)
	checkAll(t, k, workers)
	if out := mustKustos(t, inst, "audit", "verify"); !strings.Contains(out, "events in") {
		t.Error(out)
	}
	made := 0
	for _, w := range workers {
		made += w.serial
	}
	t.Logf("%d crashes, %d keys went through their whole life; %s", done, made, strings.TrimSpace(mustKustos(t, inst, "audit", "verify")))
}

func checkAll(t *testing.T, k *keys, workers []*worker) {
	t.Helper()
	for _, w := range workers {
		if err := w.check(k); err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}
