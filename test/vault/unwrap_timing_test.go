package vault_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/test/harness"
)

var (
	benchTime   = flag.Duration("vault.bench", 0, "measure unwrapKey over HTTPS, each round this long; docs/benchmarks.md records a run of 5s")
	benchRounds = flag.Int("vault.rounds", 3, "rounds of the measurement")
)

const (
	serverCore, loadCore = 0, 1
	connections          = 8
	rawVariable          = "KUSTOS_TEST_RAW_UNWRAP"
)

// TestRawUnwrap is the private operation alone, in a process of its own that
// the parent pins to the server's core.
func TestRawUnwrap(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv(rawVariable))
	if err != nil {
		t.Skip("Only a helper of the measurement.")
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &key.PublicKey, make([]byte, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	begin, cpu, n := time.Now(), cpuOf(t, os.Getpid()), 0
	for ; time.Since(begin) < length; n++ {
		if _, err := rsa.DecryptOAEP(sha256.New(), nil, key, wrapped, nil); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Printf("raw %f %f\n", float64(n)/time.Since(begin).Seconds(), (cpuOf(t, os.Getpid())-cpu).Seconds()*1e6/float64(n))
}

// cpuOf is the processor time that a process has used.
func cpuOf(t testing.TB, pid int) time.Duration {
	t.Helper()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+2:]))
	var ticks int64
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}

// runDelay is how long the threads of a process were ready to run and did not:
// what a busy machine adds to every latency.
func runDelay(t testing.TB, pid int) (sum time.Duration) {
	t.Helper()
	files, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/schedstat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // the thread ended
		}
		if f := strings.Fields(string(data)); len(f) > 1 {
			ns, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += time.Duration(ns)
		}
	}
	return sum
}

func pin(t testing.TB, core int) {
	t.Helper()
	var set unix.CPUSet
	set.Set(core)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, th := range threads {
		id, err := strconv.Atoi(th.Name())
		if err == nil {
			err = unix.SchedSetaffinity(id, &set)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// load is a client with kept-alive connections to one vault.
type load struct {
	http   *http.Client
	url    string
	token  string
	body   string
	expect string
}

func newLoad(t testing.TB, k *keys) *load {
	t.Helper()
	pem, err := os.ReadFile(k.Conn.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	direct, err := url.Parse(k.Conn.Direct)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections, TLSClientConfig: &tls.Config{RootCAs: pool},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, direct.Host)
		}}
	l := &load{http: &http.Client{Transport: transport}, expect: "c2VjcmV0LXNlY3JldA", url: "https://" + k.vault + ".vault.azure.net/keys/k/unwrapkey?api-version=7.4", token: token(t, k)}
	l.body = `{"alg":"RSA-OAEP-256","value":"` + k.must("POST", "/keys/k/wrapkey", raw(wrapBody)).Value + `"}`
	return l
}

// token asks for one as an SDK does.
func token(t testing.TB, k *keys) string {
	t.Helper()
	proxy, err := url.Parse(k.Conn.Proxy)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(k.Conn.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	c := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	res, err := c.PostForm("https://login.microsoftonline.com/"+k.Conn.TenantID+"/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"},
		"client_id": {k.Conn.ClientID}, "client_secret": {k.Conn.ClientSecret}, "scope": {audience + "/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil || out.Token == "" {
		t.Fatalf("no token: %v", err)
	}
	return out.Token
}

func (l *load) one(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, strings.NewReader(l.body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+l.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := l.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != 200 || !strings.Contains(string(data), l.expect)) {
		err = fmt.Errorf("%d %s", res.StatusCode, data)
	}
	return err
}

// flood sends as fast as the connections allow and returns requests a second.
func (l *load) flood(t testing.TB, length time.Duration) (rate float64, n int) {
	t.Helper()
	var wg sync.WaitGroup
	counts := make([]int, connections)
	begin := time.Now()
	for i := range connections {
		wg.Go(func() {
			for time.Since(begin) < length {
				if err := l.one(context.Background()); err != nil {
					t.Error(err)
					return
				}
				counts[i]++
			}
		})
	}
	wg.Wait()
	for _, c := range counts {
		n += c
	}
	return float64(n) / time.Since(begin).Seconds(), n
}

// steady sends at a rate whatever the answers do, and returns the latencies
// counted from when each request was due.
func (l *load) steady(t testing.TB, rate float64, length time.Duration) []time.Duration {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var took []time.Duration
	begin := time.Now()
	for i := 0; ; i++ {
		due := begin.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if due.Sub(begin) > length {
			break
		}
		time.Sleep(time.Until(due)) //nolint:forbidigo // a load generator keeps time
		wg.Go(func() {
			if err := l.one(context.Background()); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(due))
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took
}

// TestUnwrapRate compares unwrapKey over HTTPS with the private operation that
// it needs, both on the same core, in turns.
func TestUnwrapRate(t *testing.T) {
	if *benchTime == 0 {
		t.Skip("A measurement: run with -vault.bench=5s on a quiet machine with two cores.")
	}
	wrapper := filepath.Join(t.TempDir(), "kustos")
	script := fmt.Sprintf("#!/bin/sh\nexec taskset -c %d %s \"$@\"\n", serverCore, harness.Binary(t))
	if err := os.WriteFile(wrapper, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	inst := client.NewInstance(wrapper, t.TempDir())
	c, _, err := inst.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := inst.Stop(); err != nil {
			t.Error(err)
		}
	}()
	k := newVault(t, c, "kvbench")
	k.must("POST", "/keys/k/create", raw(`{"kty":"RSA"}`))
	l := newLoad(t, k)
	pin(t, loadCore)
	l.flood(t, time.Second) // warm
	var rates, ratios, costs []float64
	for range *benchRounds {
		rawRate, rawCost := rawUnwrap(t)
		before := cpuOf(t, c.Conn.PID)
		rate, n := l.flood(t, *benchTime)
		cost := (cpuOf(t, c.Conn.PID) - before).Seconds() * 1e6 / float64(n)
		t.Logf("raw %.0f/s, %.0f us of processor each; HTTPS %.0f/s, %.0f us each: %.1f %% by the clock, %.1f %% by processor time",
			rawRate, rawCost, rate, cost, 100*rate/rawRate, 100*rawCost/cost)
		rates, ratios, costs = append(rates, rate), append(ratios, rate/rawRate), append(costs, rawCost/cost)
	}
	slices.Sort(rates)
	slices.Sort(ratios)
	slices.Sort(costs)
	mid := len(rates) / 2
	waited := runDelay(t, c.Conn.PID)
	took := l.steady(t, rates[mid]/2, *benchTime)
	waited = runDelay(t, c.Conn.PID) - waited
	t.Logf("median: %.0f/s, %.1f %% of raw by the clock, %.1f %% by processor time; at half load (%.0f/s) p50 %s p99 %s p99.9 %s; other programs kept the server off its core for %s of %s", rates[mid], 100*ratios[mid], 100*costs[mid],
		rates[mid]/2, took[len(took)/2], took[len(took)*99/100], took[len(took)*999/1000], waited, *benchTime)
}

func rawUnwrap(t testing.TB) (rate, cost float64) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("taskset", "-c", strconv.Itoa(serverCore), self, "-test.run", "^TestRawUnwrap$")
	cmd.Env = append(os.Environ(), rawVariable+"="+benchTime.String(), "KUSTOS_BINARY=/bin/true")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := fmt.Sscanf(string(out), "raw %f %f", &rate, &cost); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return rate, cost
}
