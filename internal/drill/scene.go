package drill

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/cli"
	"github.com/kustos-io/kustos/internal/client"
)

const (
	apiGroups   = "2021-04-01"
	apiVault    = "2022-07-01"
	apiKusto    = "2023-08-15"
	apiIdentity = "2023-01-31"
	apiKeys     = "7.4"

	location = "westeurope"
	group    = "drill"
	database = "demo"
	keyName  = "customer-key"
	vault    = "drillvault"
	cluster  = "drillcluster"

	rows     = 1000
	question = "Ledger | summarize Rows=count(), Sum=sum(Id), Last=max(Text)"
)

// scene is a fresh server with a cluster under a customer's key and rows in it.
type scene struct {
	inst     *client.Instance
	az       *client.Client
	result   *Result
	began    time.Time
	interval time.Duration
	watch    *watch
	uri      string // of the cluster
	cluster  string // its name
	identity string // its principal
	version  string // of the key, newest
	answer   string
}

// newScene starts a server below root.
func newScene(ctx context.Context, opts cli.DrillOptions, root string, r *Result) (*scene, error) {
	inst := client.NewInstance(opts.Binary, root, "--key-probe-interval", opts.ProbeInterval.String(), "--control", "127.0.0.1:0", "--clock", "manual")
	if opts.NoVaultHints {
		inst.Args = append(inst.Args, "--no-vault-hints")
	}
	s := &scene{inst: inst, result: r, interval: opts.ProbeInterval, cluster: cluster, began: time.Now()}
	az, _, err := inst.Start(ctx)
	s.az = az
	return s, err
}

func (s *scene) event(at time.Time, kind, what, detail string) {
	s.result.Events = append(s.result.Events, Event{Millis(at.Sub(s.began)), kind, what, firstLine(detail)})
}

// act does something to the key and notes it; the returned times enclose it.
func (s *scene) act(what string, do func() error) (before, after time.Time, err error) {
	before = time.Now()
	if err = do(); err != nil {
		return before, before, fmt.Errorf("%s: %w", what, err)
	}
	after = time.Now()
	s.event(after, Act, what, "")
	return before, after, nil
}

// seen notes what was found to be so just now.
func (s *scene) seen(what, detail string) { s.event(time.Now(), Seen, what, detail) }

// measure notes a delay and fails when it is over its bound.
func (s *scene) measure(name string, took, bound time.Duration) error {
	took = max(took, 0) // noticed before the vault's own answer came back
	s.result.Measures = append(s.result.Measures, Measure{name, Millis(took), Millis(bound)})
	if bound > 0 && took > bound {
		return fmt.Errorf("%s took %s, over the bound of %s", name, took.Round(time.Millisecond), bound)
	}
	return nil
}

// bound is what is promised of a probe: its interval, and a moment for asking
// and answering on a busy machine.
func (s *scene) bound() time.Duration { return s.interval + time.Second }

func (s *scene) groupPath() string {
	return "/subscriptions/" + s.az.Conn.SubscriptionID + "/resourceGroups/" + group
}

func (s *scene) clusterPath() string {
	return s.groupPath() + "/providers/Microsoft.Kusto/clusters/" + s.cluster
}

func (s *scene) vaultPath() string {
	return s.groupPath() + "/providers/Microsoft.KeyVault/vaults/" + vault
}

// key calls the vault's data plane: path begins behind the host.
func (s *scene) key(ctx context.Context, method, path string, body any) (client.Answer, error) {
	a, err := s.az.Do(ctx, client.Vault, method, "https://"+vault+".vault.azure.net"+path+"?api-version="+apiKeys, body)
	return a, errors.Join(err, a.Refusal())
}

func (s *scene) control(ctx context.Context, method, path string, body any) error {
	_, err := cli.Control(ctx, s.az.Conn, method, path, body)
	return err
}

// policy is an access policy over keys.
func (s *scene) policy(object string, keys ...string) map[string]any {
	return map[string]any{"tenantId": s.az.Conn.TenantID, "objectId": object, "permissions": map[string]any{"keys": keys}}
}

// putVault creates or updates the vault; extra replaces properties.
func (s *scene) putVault(ctx context.Context, extra map[string]any) error {
	me, err := s.az.Subject(ctx)
	if err != nil {
		return err
	}
	properties := map[string]any{
		"tenantId": s.az.Conn.TenantID, "sku": map[string]string{"family": "A", "name": "standard"},
		"enableSoftDelete": true, "enablePurgeProtection": true, "softDeleteRetentionInDays": 7,
		"accessPolicies": []any{s.policy(me, "get", "list", "create", "update", "delete", "recover", "purge"), s.policy(s.identity, "get", "wrapKey", "unwrapKey")},
	}
	for k, v := range extra {
		properties[k] = v
	}
	return s.az.ARM(ctx, http.MethodPut, s.vaultPath(), apiVault, map[string]any{"location": location, "properties": properties}, nil)
}

// createKey makes the key, or its next version.
func (s *scene) createKey(ctx context.Context) error {
	a, err := s.key(ctx, http.MethodPost, "/keys/"+keyName+"/create", map[string]any{"kty": "RSA"})
	if err != nil {
		return err
	}
	var bundle struct{ Key struct{ Kid string } }
	if err := json.Unmarshal(a.Body, &bundle); err != nil || bundle.Key.Kid == "" {
		return errors.New("the answer is not a key bundle")
	}
	s.version = bundle.Key.Kid[strings.LastIndexByte(bundle.Key.Kid, '/')+1:]
	return nil
}

// enable switches a version of the key on or off.
func (s *scene) enable(ctx context.Context, version string, on bool) error {
	_, err := s.key(ctx, http.MethodPatch, "/keys/"+keyName+"/"+version, map[string]any{"attributes": map[string]any{"enabled": on}})
	return err
}

// patchKey names the key in the cluster; "" is the newest version.
func (s *scene) patchKey(ctx context.Context, version string) error {
	return s.az.ARM(ctx, http.MethodPatch, s.clusterPath(), apiKusto, map[string]any{"properties": map[string]any{"keyVaultProperties": map[string]string{
		"keyVaultUri": "https://" + vault + ".vault.azure.net", "keyName": keyName, "keyVersion": version}}}, nil)
}

// furnish makes group, cluster with a system identity, vault, key, the
// customer's encryption and rows, and begins to watch.
func (s *scene) furnish(ctx context.Context) error {
	if err := s.az.ARM(ctx, http.MethodPut, s.groupPath(), apiGroups, map[string]string{"location": location}, nil); err != nil {
		return err
	}
	if err := s.makeCluster(ctx, map[string]any{"type": "SystemAssigned"}); err != nil {
		return err
	}
	if err := s.putVault(ctx, nil); err != nil {
		return err
	}
	if err := s.createKey(ctx); err != nil {
		return err
	}
	if err := s.patchKey(ctx, s.version); err != nil {
		return err
	}
	return s.fill(ctx)
}

// makeCluster makes the cluster and reads its address and principal.
func (s *scene) makeCluster(ctx context.Context, identity map[string]any) error {
	var made struct {
		Identity   struct{ PrincipalID string }
		Properties struct{ URI string }
	}
	err := s.az.ARM(ctx, http.MethodPut, s.clusterPath(), apiKusto, map[string]any{"location": location, "identity": identity,
		"sku": map[string]any{"name": "Standard_D13_v2", "tier": "Standard", "capacity": 2}, "properties": map[string]any{"enableStreamingIngest": true}}, &made)
	s.uri, s.identity = made.Properties.URI, made.Identity.PrincipalID
	return err
}

// fill makes a database with rows, part in an extent and part in the log.
func (s *scene) fill(ctx context.Context) error {
	err := s.az.ARM(ctx, http.MethodPut, s.clusterPath()+"/databases/"+database, apiKusto, map[string]any{"location": location, "kind": "ReadWrite", "properties": map[string]any{}}, nil)
	if err != nil {
		return err
	}
	for _, command := range []string{
		fmt.Sprintf(".set Ledger <| range Id from 1 to %d step 1 | project Id, Text=strcat('entry ', tostring(Id))", rows),
		fmt.Sprintf(".ingest inline into table Ledger <| %d,entry %d", rows+1, rows+1),
	} {
		if _, err := s.az.Query(ctx, s.uri, database, command); err != nil {
			return err
		}
	}
	if s.answer, err = s.ask(ctx, s.az); err != nil {
		return err
	}
	if want := fmt.Sprintf("%d %d", rows+1, (rows+1)*(rows+2)/2); !strings.HasPrefix(s.answer, want) {
		return fmt.Errorf("the question was answered %q, %d rows were acknowledged", s.answer, rows+1)
	}
	s.look(ctx)
	s.seen(fmt.Sprintf("%d rows lie in the cluster under the customer's key", rows+1), "")
	return nil
}

// ask asks the question of the watch.
func (s *scene) ask(ctx context.Context, az *client.Client) (string, error) {
	got, err := az.Query(ctx, s.uri, database, question)
	if err != nil {
		return "", err
	}
	if len(got) != 1 {
		return "", errors.New("the question has no answer")
	}
	return strings.TrimSuffix(fmt.Sprintln(got[0]...), "\n"), nil
}

// look begins the watch and the time line.
func (s *scene) look(ctx context.Context) {
	s.began = time.Now()
	s.watch = newWatch(ctx, s.az, s.answer, s.ask)
}

// state is the cluster's state as Resource Manager tells it.
func (s *scene) state(ctx context.Context) (state, reason string, err error) {
	var c struct {
		Properties struct{ State, StateReason string }
	}
	err = s.az.ARM(ctx, http.MethodGet, s.clusterPath(), apiKusto, nil, &c)
	return c.Properties.State, c.Properties.StateReason, err
}

// restart ends the server (killed, as a crash does, or stopped) and starts it again.
func (s *scene) restart(ctx context.Context, kill bool) error {
	end := s.inst.Stop
	if kill {
		end = s.inst.Kill
	}
	if err := end(); err != nil {
		return err
	}
	az, _, err := s.inst.Start(ctx)
	if err != nil {
		return err
	}
	s.az = az
	if s.watch != nil {
		s.watch.use(az)
	}
	return nil
}

// engines counts the engine children of the server.
func (s *scene) engines() (int, error) {
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	n := 0
	for _, path := range all {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		// pid (name) state ppid …; the name may hold anything
		_, rest, _ := strings.Cut(string(data[strings.LastIndexByte(string(data), ')')+1:]), " ")
		fields := strings.Fields(rest)
		if len(fields) > 1 && fields[0] != "Z" && fields[1] == fmt.Sprint(s.az.Conn.PID) {
			n++
		}
	}
	return n, nil
}

// close ends the watch and the server and completes the result.
func (s *scene) close() error {
	var err error
	if s.watch != nil {
		s.result.Seen, s.result.Asked, err = s.watch.end(s.began)
	}
	slices.SortStableFunc(s.result.Events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	s.result.Took = Millis(time.Since(s.began))
	return errors.Join(err, s.inst.Stop())
}
